"""Registrations whose address is not verified yet, and strangers that register others' addresses."""

from uuid import uuid4

from backroom.identity.v1 import access_service_pb2
from backroom.identity.v1 import identity_service_pb2 as pb
from server.cli.database_changes import command_context
from server.identity.rules.accounts import UNVERIFIED_RETENTION
from storage.database import Database
from tests.fixtures.mailboxes import TOKEN
from tests.fixtures.servers import Api, Running
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    kept,
    logged_in,
    logging_in,
    me,
    outcome,
    registered,
    registering,
)

ADA = "ada@example.com"
STRANGERS = "chosen by a stranger"


async def tokens_sent(server: Running, to: str = ADA) -> list[str]:
    """The tokens in all mails that were sent to an address, oldest first."""
    return [found.group() for text in await server.mailbox.texts_for(to) if (found := TOKEN.search(text))]


async def verifies(server: Running, token: str) -> str:
    return await outcome(server.anonymous.identity.VerifyEmail(pb.VerifyEmailRequest(token=token)))


async def signs_in(server: Running, password: str) -> str:
    return await outcome(server.anonymous.identity.Login(logging_in(ADA, password)))


async def test_the_used_token_decides_whose_password_and_name_count(server: Running) -> None:
    """Registering another person's address, before or after the owner, gains nothing."""
    await server.anonymous.identity.Register(registering(password=STRANGERS, display_name="Eve"))
    mine = (await server.anonymous.identity.Register(registering())).user
    await server.anonymous.identity.Register(registering(password=STRANGERS, display_name="Eve"))
    first, owners, last = await tokens_sent(server)
    assert await verifies(server, owners) == "done"
    tokens = await logged_in(server.anonymous)
    user = (await me(Api(server.channel, tokens.access_token))).user
    assert (user.user_id, user.display_name) == (mine.user_id, "Ada")
    assert await signs_in(server, STRANGERS) == "CREDENTIALS_INVALID"
    for token in (first, last):
        assert await verifies(server, token) == "MAIL_TOKEN_INVALID"
    accounts = await kept(server.database, "identity.accounts")
    assert accounts.count(ADA) == 1
    assert "Eve" not in accounts
    assert (await kept(server.database, "identity.mail_tokens")).count('"hash"') == 1


async def test_a_registration_ended_by_anothers_token_is_recorded(server: Running) -> None:
    """Under the call that ended it."""
    stranger = (await server.anonymous.identity.Register(registering(password=STRANGERS))).user
    await server.anonymous.identity.Register(registering())
    await verifies(server, (await tokens_sent(server))[1])
    entries = (await kept(server.database, "frame.audit_entries")).splitlines()
    [ended] = [each for each in entries if '"SUPERSEDED"' in each]
    assert f"account/{stranger.user_id}" in ended
    assert "IdentityService/VerifyEmail" in ended


async def test_each_registration_gets_the_same_answer_and_mail(server: Running) -> None:
    """The second is a separate user, with a separate mail that says when it was requested."""
    first, second = [(await server.anonymous.identity.Register(registering())).user for _ in range(2)]
    assert first.user_id != second.user_id
    texts = await server.mailbox.texts_for(ADA)
    assert len(texts) == 2
    for user, text in zip((first, second), texts, strict=True):
        assert f"{user.create_time.ToDatetime():%Y-%m-%d at %H:%M} UTC" in text


async def test_a_request_for_another_mail_never_sends_a_strangers_token(server: Running) -> None:
    """If several are pending, the mail sets a new password, and ends all that was chosen before."""
    await server.anonymous.identity.Register(registering(password=STRANGERS, display_name="Eve"))
    await server.anonymous.identity.Register(registering())
    await server.anonymous.identity.SendEmailVerification(pb.SendEmailVerificationRequest(email=ADA))
    *verify, reset = await tokens_sent(server)
    assert [token[:4] for token in (*verify, reset)] == ["brv_", "brv_", "brp_"]
    await server.anonymous.identity.ResetPassword(pb.ResetPasswordRequest(token=reset, new_password=NEW_PASSWORD))
    for password in (STRANGERS, PASSWORD):
        assert await signs_in(server, password) == "CREDENTIALS_INVALID"
    for token in verify:
        assert await verifies(server, token) == "MAIL_TOKEN_INVALID"
    tokens = await logged_in(server.anonymous, password=NEW_PASSWORD)
    assert (await me(Api(server.channel, tokens.access_token))).user.display_name == ""


async def test_a_stranger_cannot_use_up_the_owners_mails(server: Running) -> None:
    """When no more verification mails are sent, a new password by mail still gives the owner the account."""
    for _ in range(4):
        await server.anonymous.identity.Register(registering(password=STRANGERS))
    await server.anonymous.identity.Register(registering())
    await server.anonymous.identity.SendEmailVerification(pb.SendEmailVerificationRequest(email=ADA))
    tokens = await tokens_sent(server)
    assert [token[:4] for token in tokens] == ["brv_"] * 3 + ["brp_"]
    request = pb.ResetPasswordRequest(token=tokens[-1], new_password=NEW_PASSWORD)
    await server.anonymous.identity.ResetPassword(request)
    assert await signs_in(server, STRANGERS) == "CREDENTIALS_INVALID"
    assert await signs_in(server, NEW_PASSWORD) == "done"


async def test_a_disabled_registration_cannot_be_verified(server: Running, admin: Api) -> None:
    """It ends; the address, which nobody has proved to be theirs, is not blocked."""
    user = (await server.anonymous.identity.Register(registering())).user
    [token] = await tokens_sent(server)
    await admin.access.DisableAccount(access_service_pb2.DisableAccountRequest(account_id=user.user_id))
    assert await verifies(server, token) == "MAIL_TOKEN_INVALID"
    await server.anonymous.identity.SendEmailVerification(pb.SendEmailVerificationRequest(email=ADA))
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
    assert await tokens_sent(server) == [token]
    await server.anonymous.identity.Register(registering(password=NEW_PASSWORD))
    assert await verifies(server, (await tokens_sent(server))[-1]) == "done"
    assert await signs_in(server, NEW_PASSWORD) == "done"


async def test_a_disabled_account_cannot_set_a_password(server: Running, admin: Api) -> None:
    """Not even with a token that it was sent before."""
    user = await registered(server.anonymous)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
    token = (await tokens_sent(server))[-1]
    await admin.access.DisableAccount(access_service_pb2.DisableAccountRequest(account_id=user.user_id))
    request = pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=NEW_PASSWORD)
    assert await outcome(server.anonymous.identity.ResetPassword(request)) == "MAIL_TOKEN_INVALID"


async def test_an_unverified_registration_is_purged(timed: Running, clock: Clock) -> None:
    """After a week, with tokens and roles, and an entry under the job's name; verified accounts remain."""
    await registered(timed.anonymous, "bob@example.com")
    await timed.anonymous.identity.Register(registering())
    clock.advance(days=6)
    await timed.anonymous.identity.SendEmailVerification(pb.SendEmailVerificationRequest(email=ADA))
    token = (await tokens_sent(timed))[-1]
    accounts = timed.application.identity.accounts
    await accounts.purge_unverified()
    assert ADA in await kept(timed.database, "identity.accounts")
    clock.time += UNVERIFIED_RETENTION
    await accounts.purge_unverified()
    left = await kept(timed.database, "identity.accounts")
    assert ADA not in left
    assert "bob@example.com" in left
    assert await verifies(timed, token) == "MAIL_TOKEN_INVALID"
    assert "identity.purge_unverified" in await kept(timed.database, "frame.audit_entries")


async def test_a_registration_does_not_prevent_a_command_from_creating_the_account(
    server: Running, database: Database
) -> None:
    """The pending registration ends, and only the account that the operator created signs in."""
    await server.anonymous.identity.Register(registering(password=STRANGERS))
    identity = server.application.identity
    await identity.accounts.create(ADA, PASSWORD, "", ["admin"], command_context("admin create-user"))
    assert await signs_in(server, PASSWORD) == "done"
    assert await signs_in(server, STRANGERS) == "CREDENTIALS_INVALID"
    assert (await kept(database, "identity.accounts")).count(ADA) == 1
