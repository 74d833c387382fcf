"""Concurrent guesses, registrations, verifications and resets."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from backroom.identity.v1 import identity_service_pb2 as pb
from tests.fixtures.mailboxes import TOKEN, token_for
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Running
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    execute,
    kept,
    logged_in,
    logging_in,
    outcome,
    registered,
    registering,
)


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
async def test_two_servers_evaluate_few_of_200_wrong_passwords(pair: Pair, email: str) -> None:
    """They share the counters: at most 10, whether the account exists or not."""
    await registered(pair.anonymous[0])
    await execute(pair.database, "TRUNCATE identity.attempts")
    calls = (pair.anonymous[place % 2].identity.Login(logging_in(email, "wrong")) for place in range(200))
    told = Counter(await asyncio.gather(*map(outcome, calls)))
    assert set(told) - {"TOO_MANY_CONCURRENT_CALLS"} == {"CREDENTIALS_INVALID", "TOO_MANY_ATTEMPTS"}
    # 5, and one more for each time that the growing wait ends while the 200 are under way.
    assert 5 <= told["CREDENTIALS_INVALID"] <= 10
    entries = await kept(pair.database, "frame.audit_entries")
    assert entries.count('"CREDENTIALS_INVALID"') == told["CREDENTIALS_INVALID"]


async def test_an_owner_signs_in_while_strangers_guess(proxied: Running) -> None:
    """Whatever the strangers do, each sign-in of the owner with its device token succeeds."""
    await registered(proxied.anonymous)
    home = proxied.calling_from("10.1.1.1")
    device = (await home.identity.Login(logging_in())).device_token

    async def hammer(place: int) -> None:
        stranger = proxied.calling_from(f"10.2.2.{place}")
        while not done.is_set():
            assert await outcome(stranger.identity.Login(logging_in(password="wrong"))) != "done"

    done = asyncio.Event()
    strangers = [asyncio.create_task(hammer(place)) for place in range(10)]
    told = [await outcome(home.identity.Login(logging_in(device_token=device))) for _ in range(5)]
    done.set()
    await asyncio.gather(*strangers)
    # Hashing may be overloaded temporarily, but nobody is delayed by what others tried.
    assert "TOO_MANY_ATTEMPTS" not in told
    assert "done" in told


async def test_of_concurrent_registrations_of_one_address_one_gets_it(server: Running) -> None:
    """In any spelling, all get the same answer; the first used token's registration gets the address."""
    emails = ["ada@example.com", "ADA@example.com", "Ada@Example.com"]
    choices = [f"a password of one's own, number {place}." for place in range(3)]
    calls = (
        outcome(server.anonymous.identity.Register(registering(email, password=choice)))
        for email, choice in zip(emails, choices, strict=True)
    )
    assert Counter(await asyncio.gather(*calls)) == {"done": 3}
    await server.mailbox.send_all()
    tokens = [found.group() for each in server.mailbox.sent.letters if (found := TOKEN.search(each.text))]
    assert len(set(tokens)) == 3
    uses = [server.anonymous.identity.VerifyEmail(pb.VerifyEmailRequest(token=token)) for token in tokens * 3]
    asked = server.anonymous.identity.Register(registering(password="chosen by a stranger"))
    told = await asyncio.gather(*map(outcome, (*uses, asked)))
    assert Counter(told[:-1]) == {"done": 1, "MAIL_TOKEN_INVALID": 8}
    signs_in = [await outcome(server.anonymous.identity.Login(logging_in(password=choice))) for choice in choices]
    assert sorted(signs_in) == ["CREDENTIALS_INVALID", "CREDENTIALS_INVALID", "done"]
    assert await outcome(server.anonymous.identity.Login(logging_in(password="chosen by a stranger"))) != "done"
    # A registration made while another was verified can no longer be verified.
    server.mailbox.sent.letters.clear()
    await server.mailbox.send_all()
    assert {letter.kind for letter in server.mailbox.sent.letters} <= {"address_registered_again"}


def _only(place: int) -> list[str]:
    return ["done" if each == place else "MAIL_TOKEN_INVALID" for each in range(3)]


async def test_concurrent_verification_and_reset_leave_one_owner(server: Running) -> None:
    """Of several tokens of one address, the one that was used last decides which password signs in."""
    await server.anonymous.identity.Register(registering(password="chosen by a stranger"))
    await server.anonymous.identity.Register(registering())
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ada@example.com"))
    await server.mailbox.send_all()
    tokens = [found.group() for each in server.mailbox.sent.letters if (found := TOKEN.search(each.text))]
    verifying = [server.anonymous.identity.VerifyEmail(pb.VerifyEmailRequest(token=token)) for token in tokens[:2]]
    resetting = server.anonymous.identity.ResetPassword(
        pb.ResetPasswordRequest(token=tokens[2], new_password=NEW_PASSWORD)
    )
    told = await asyncio.gather(*map(outcome, (*verifying, resetting)))
    # The token that sets a password is the first registration's: it is valid after that one was verified, too.
    assert told in (["done", "MAIL_TOKEN_INVALID", "done"], *(_only(place) for place in range(3)))
    passwords = ("chosen by a stranger", PASSWORD, NEW_PASSWORD)
    signs_in = [await outcome(server.anonymous.identity.Login(logging_in(password=each))) for each in passwords]
    deciding = 2 if told[2] == "done" else told.index("done")
    assert signs_in == ["done" if place == deciding else "CREDENTIALS_INVALID" for place in range(3)]
    assert (await kept(server.database, "identity.accounts")).count("ada@example.com") == 1


async def test_concurrent_copies_of_a_registration_register_one_user(server: Running) -> None:
    """Every copy of the request is answered with the same user, and one mail is sent."""
    request = registering()
    answers = await asyncio.gather(*(server.anonymous.identity.Register(request) for _ in range(8)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert len(await server.mailbox.texts_for("ada@example.com")) == 1


async def test_of_concurrent_uses_of_one_token_one_succeeds(server: Running) -> None:
    """A token sets one password, and the one whose caller got OK signs in."""
    await registered(server.anonymous)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ada@example.com"))
    token = await token_for(server.mailbox, "ada@example.com")
    choices = [f"a new password, number {place}." for place in range(8)]
    calls = [
        server.anonymous.identity.ResetPassword(
            pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=choice)
        )
        for choice in choices
    ]
    told = await asyncio.gather(*map(outcome, calls))
    assert Counter(told) == {"done": 1, "MAIL_TOKEN_INVALID": 7}
    assert (await logged_in(server.anonymous, password=choices[told.index("done")])).access_token


async def test_concurrent_copies_of_a_reset_are_done_once(server: Running) -> None:
    """They all get the first answer, although the token is then used up."""
    await registered(server.anonymous)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ada@example.com"))
    token = await token_for(server.mailbox, "ada@example.com")
    request = pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=NEW_PASSWORD)
    told = await asyncio.gather(*(outcome(server.anonymous.identity.ResetPassword(request)) for _ in range(8)))
    assert told == ["done"] * 8
    assert await outcome(server.anonymous.identity.Login(logging_in(password=PASSWORD))) == "CREDENTIALS_INVALID"


async def test_a_token_verified_concurrently_verifies_once(server: Running) -> None:
    """One use counts, and the address is verified."""
    await server.anonymous.identity.Register(registering())
    token = await token_for(server.mailbox, "ada@example.com")
    calls = (server.anonymous.identity.VerifyEmail(pb.VerifyEmailRequest(token=token)) for _ in range(8))
    assert Counter(await asyncio.gather(*map(outcome, calls))) == {"done": 1, "MAIL_TOKEN_INVALID": 7}
    assert (await logged_in(server.anonymous)).access_token
