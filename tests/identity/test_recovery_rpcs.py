"""Verifying an address, and setting a new password, with the mails that are sent for it."""

from collections import Counter
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2 as pb
from tests.fixtures.mailboxes import TOKEN, token_for
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    execute,
    kept,
    log_of,
    logged_in,
    logging_in,
    me,
    outcome,
    refreshing,
    registered,
    registering,
)


def asking_to_verify(email: str = "ada@example.com", **rest: Any) -> pb.SendEmailVerificationRequest:
    return pb.SendEmailVerificationRequest(**{"request_id": str(uuid4()), "email": email, **rest})


def asking_to_reset(email: str = "ada@example.com", **rest: Any) -> pb.RequestPasswordResetRequest:
    return pb.RequestPasswordResetRequest(**{"request_id": str(uuid4()), "email": email, **rest})


def verifying(token: str) -> pb.VerifyEmailRequest:
    return pb.VerifyEmailRequest(request_id=str(uuid4()), token=token)


def resetting(token: str, password: str = NEW_PASSWORD) -> pb.ResetPasswordRequest:
    return pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=password)


async def reset_token(server: Running, email: str = "ada@example.com") -> str:
    await server.anonymous.identity.RequestPasswordReset(asking_to_reset(email))
    return await token_for(server.mailbox, email)


async def refused_token(call: Any) -> None:
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MAIL_TOKEN_INVALID")


async def test_a_new_token_replaces_the_previous_one(server: Running) -> None:
    """Only the last one verifies, whatever the case of the address."""
    await server.anonymous.identity.Register(registering())
    first = await token_for(server.mailbox, "ada@example.com")
    await server.anonymous.identity.SendEmailVerification(asking_to_verify("ADA@example.com"))
    second = await token_for(server.mailbox, "ada@example.com")
    assert first != second
    await refused_token(server.anonymous.identity.VerifyEmail(verifying(first)))
    await server.anonymous.identity.VerifyEmail(verifying(second))
    assert (await logged_in(server.anonymous)).access_token


async def test_a_token_verifies_once(server: Running) -> None:
    """Repeating the request changes nothing more; another request with the token is refused."""
    await server.anonymous.identity.Register(registering())
    request = verifying(await token_for(server.mailbox, "ada@example.com"))
    await server.anonymous.identity.VerifyEmail(request)
    await server.anonymous.identity.VerifyEmail(request)
    await refused_token(server.anonymous.identity.VerifyEmail(verifying(request.token)))


@pytest.mark.parametrize("token", ["x", "brv_", "brv_" + "A" * 27, "brp_" + "A" * 27, "é" * 200])
async def test_a_token_that_was_never_sent_is_refused(server: Running, token: str) -> None:
    """In the same way for both purposes."""
    await refused_token(server.anonymous.identity.VerifyEmail(verifying(token)))
    await refused_token(server.anonymous.identity.ResetPassword(resetting(token)))


async def test_a_token_is_valid_only_for_its_purpose(server: Running) -> None:
    """One for verification sets no password, and vice versa."""
    await server.anonymous.identity.Register(registering())
    verify = await token_for(server.mailbox, "ada@example.com")
    reset = await reset_token(server)
    await refused_token(server.anonymous.identity.ResetPassword(resetting(verify)))
    await refused_token(server.anonymous.identity.VerifyEmail(verifying(reset)))
    await refused_token(server.anonymous.identity.ResetPassword(resetting("brp_" + verify[4:])))


async def test_tokens_expire(timed: Running, clock: Clock) -> None:
    """After 24 hours to verify, and after one to set a password; not a moment before."""
    await timed.anonymous.identity.Register(registering())
    verify = await token_for(timed.mailbox, "ada@example.com")
    clock.advance(hours=24)
    await refused_token(timed.anonymous.identity.VerifyEmail(verifying(verify)))
    reset = await reset_token(timed)
    clock.advance(hours=1)
    await refused_token(timed.anonymous.identity.ResetPassword(resetting(reset)))
    reset = await reset_token(timed)
    clock.advance(seconds=3599.9)
    await timed.anonymous.identity.ResetPassword(resetting(reset))


async def test_a_new_password_signs_in_and_ends_all_sessions(server: Running) -> None:
    """The old one no longer signs in, and no session that it opened remains."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    await server.anonymous.identity.ResetPassword(resetting(await reset_token(server)))
    assert await outcome(server.anonymous.identity.Login(logging_in())) == "CREDENTIALS_INVALID"
    assert await outcome(server.anonymous.identity.Refresh(refreshing(tokens.refresh_token))) == "CREDENTIALS_INVALID"
    assert (await logged_in(server.anonymous, password=NEW_PASSWORD)).access_token


async def test_a_reset_verifies_the_address(server: Running) -> None:
    """An address that a stranger registered becomes its owner's, and the stranger's token ends."""
    await server.anonymous.identity.Register(registering(password="chosen by a stranger"))
    stale = await token_for(server.mailbox, "ada@example.com")
    await server.anonymous.identity.ResetPassword(resetting(await reset_token(server)))
    assert await outcome(server.anonymous.identity.Login(logging_in(password="chosen by a stranger"))) != "done"
    assert (await logged_in(server.anonymous, password=NEW_PASSWORD)).access_token
    await refused_token(server.anonymous.identity.VerifyEmail(verifying(stale)))


async def test_a_repeated_reset_changes_nothing_more(server: Running) -> None:
    """Its session continues; other content under the id is refused."""
    await registered(server.anonymous)
    request = resetting(await reset_token(server))
    await server.anonymous.identity.ResetPassword(request)
    tokens = await logged_in(server.anonymous, password=NEW_PASSWORD)
    await server.anonymous.identity.ResetPassword(request)
    assert (await me(Api(server.channel, tokens.access_token))).user.email == "ada@example.com"
    request.new_password = PASSWORD
    assert (await refusal(server.anonymous.identity.ResetPassword(request))).reason == "REQUEST_ID_REUSED"


async def test_a_common_password_does_not_use_up_the_token(server: Running) -> None:
    """The same token sets a better one."""
    await registered(server.anonymous)
    token = await reset_token(server)
    for common in ("letmeinletmein", "ADA@example.com"):
        refused = await refusal(server.anonymous.identity.ResetPassword(resetting(token, common)))
        assert (refused.reason, list(refused.fields)) == ("PASSWORD_TOO_WEAK", ["new_password"])
    await server.anonymous.identity.ResetPassword(resetting(token))


async def test_an_invalid_token_costs_no_evaluation(server: Running, evaluations: "Counter[str]") -> None:
    """Garbage does not make a server hash."""
    evaluations.clear()
    await refused_token(server.anonymous.identity.ResetPassword(resetting("brp_" + "A" * 27)))
    assert evaluations.total() == 0


async def test_a_reset_lets_the_owner_in_immediately(proxied: Running) -> None:
    """However many attempts have failed, from a new address, and while others go on guessing."""
    await registered(proxied.anonymous)
    for place in range(8):
        await outcome(proxied.calling_from(f"10.2.2.{place}").identity.Login(logging_in(password="wrong")))
    new_phone = proxied.calling_from("10.3.3.3")
    for _ in range(6):
        await outcome(new_phone.identity.Login(logging_in()))
    assert await outcome(new_phone.identity.Login(logging_in())) == "TOO_MANY_ATTEMPTS"
    device = (await new_phone.identity.ResetPassword(resetting(await reset_token(proxied)))).device_token
    assert (await logged_in(new_phone, password=NEW_PASSWORD)).access_token
    for place in range(8):
        await outcome(proxied.calling_from(f"10.4.4.{place}").identity.Login(logging_in(password="wrong")))
    assert await outcome(new_phone.identity.Login(logging_in(password=NEW_PASSWORD, device_token=device))) == "done"


async def test_requesting_a_mail_reveals_nothing_of_an_address(
    proxied: Running, evaluations: "Counter[str]", statements: list[str]
) -> None:
    """Known, unknown, verified or not, and disabled: the same answer, the same statements, and no evaluation."""
    for email in ("ada@example.com", "disabled@example.com"):
        await registered(proxied.anonymous, email)
    await proxied.anonymous.identity.Register(registering("unverified@example.com"))
    await execute(
        proxied.database, "UPDATE identity.accounts SET disable_time = now() WHERE email = 'disabled@example.com'"
    )
    emails = ("ada@example.com", "unverified@example.com", "disabled@example.com", "nobody@example.com", "nonsense")
    for asking, method in ((asking_to_verify, "SendEmailVerification"), (asking_to_reset, "RequestPasswordReset")):
        spent: list[tuple[bytes, int, list[str]]] = []
        for email in emails:
            evaluations.clear()
            statements.clear()
            caller = proxied.calling_from(f"10.0.{len(spent)}.{len(method)}")
            answer = await getattr(caller.identity, method)(asking(email))
            await proxied.idle()
            spent.append((answer.SerializeToString(), evaluations.total(), list(statements)))
        assert spent == [spent[0]] * len(emails)
        assert spent[0][1] == 0


async def test_a_mail_is_sent_only_if_it_is_useful(server: Running) -> None:
    """Verification to unverified accounts; a new password to all enabled ones; no other mail."""
    for email in ("ada@example.com", "disabled@example.com"):
        await registered(server.anonymous, email)
    await server.anonymous.identity.Register(registering("unverified@example.com"))
    await execute(
        server.database, "UPDATE identity.accounts SET disable_time = now() WHERE email = 'disabled@example.com'"
    )
    await server.mailbox.send_all()
    server.mailbox.sent.letters.clear()
    for email in ("ada@example.com", "unverified@example.com", "disabled@example.com", "nobody@example.com"):
        await server.anonymous.identity.SendEmailVerification(asking_to_verify(email))
        await server.anonymous.identity.RequestPasswordReset(asking_to_reset(email))
    await server.mailbox.send_all()
    sent = {(letter.to, letter.kind) for letter in server.mailbox.sent.letters}
    assert sent == {
        ("ada@example.com", "reset_password"),
        ("unverified@example.com", "verify_email"),
        ("unverified@example.com", "reset_password"),
    }
    assert await kept(server.database, "identity.mails") == ""


async def test_an_address_is_sent_three_mails_an_hour(proxied: Running) -> None:
    """Whoever requests them, and however often: the answer is the same, and the last token remains valid."""
    await registered(proxied.anonymous)
    for place in range(6):
        asking = proxied.calling_from(f"10.0.0.{place}").identity.RequestPasswordReset(asking_to_reset())
        assert await asking == pb.RequestPasswordResetResponse()
    await proxied.mailbox.send_all()
    sent = [letter for letter in proxied.mailbox.sent.letters if letter.kind == "reset_password"]
    assert len(sent) == 3
    token = TOKEN.search(sent[-1].text)
    assert token
    await proxied.anonymous.identity.ResetPassword(resetting(token.group()))


async def test_too_many_requests_for_mail_from_one_address_wait(proxied: Running) -> None:
    """Ten are free, whatever they request and for whom; a repeated request does not count, and sends nothing more."""
    crowd = proxied.calling_from("10.0.0.1")
    request = asking_to_reset("0@example.com")
    await crowd.identity.RequestPasswordReset(request)
    for place in range(9):
        await crowd.identity.SendEmailVerification(asking_to_verify(f"{place}@example.com"))
        await crowd.identity.RequestPasswordReset(request)
    for call in (
        crowd.identity.SendEmailVerification(asking_to_verify()),
        crowd.identity.RequestPasswordReset(asking_to_reset()),
    ):
        held = await refusal(call)
        assert (held.code, held.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
        assert held.retry_after == pytest.approx(60, abs=10)
    assert (await kept(proxied.database, "identity.mails")).count('"id"') == 10
    await proxied.calling_from("10.0.0.2").identity.RequestPasswordReset(asking_to_reset())


async def test_no_mail_token_is_stored_or_logged_in_the_clear(server: Running) -> None:
    """Neither before the mail is sent, nor after, nor once it was used."""
    await server.anonymous.identity.Register(registering())
    await server.anonymous.identity.RequestPasswordReset(asking_to_reset())
    waiting = await kept(server.database, "identity.mails")
    assert "ada@example.com" not in waiting
    tokens = [TOKEN.search(text) for text in await server.mailbox.texts_for("ada@example.com")]
    tables = ("mails", "mail_tokens", "accounts")
    everywhere = [waiting, str(await log_of(server)), *[await kept(server.database, f"identity.{t}") for t in tables]]
    everywhere += [await kept(server.database, f"frame.{table}") for table in ("request_ids", "audit_entries")]
    everywhere += [await kept(server.database, "public.procrastinate_jobs")]
    for token in tokens:
        assert token
        assert not [place for place in everywhere if token.group() in place or token.group()[4:] in place]
    assert len(tokens) == 2


async def test_every_step_leaves_an_entry(server: Running) -> None:
    """Requesting, verifying and setting a password, each with its account."""
    user = await registered(server.anonymous)
    await server.anonymous.identity.ResetPassword(resetting(await reset_token(server)))
    await server.anonymous.identity.SendEmailVerification(asking_to_verify("nobody@example.com"))
    entries = (await kept(server.database, "frame.audit_entries")).splitlines()
    for method in ("Register", "VerifyEmail", "RequestPasswordReset", "ResetPassword"):
        mine = [entry for entry in entries if f"IdentityService/{method}" in entry]
        assert len(mine) == 1, method
        assert f"account/{user.user_id}" in mine[0]
    assert sum("SendEmailVerification" in entry and '"account/"' in entry for entry in entries) == 1


async def test_old_mail_tokens_are_purged(timed: Running, clock: Clock) -> None:
    """Once they are no longer valid, used or not."""
    await registered(timed.anonymous)
    mailing = timed.application.identity.mailing
    clock.advance(hours=23)
    await mailing.purge()
    assert (await kept(timed.database, "identity.mail_tokens")).count('"hash"') == 1
    clock.advance(hours=2)
    await mailing.purge()
    assert await kept(timed.database, "identity.mail_tokens") == ""
