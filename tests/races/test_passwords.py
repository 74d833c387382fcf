"""Many guess, register, verify and recover at once."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from backroom.identity.v1 import identity_service_pb2 as pb
from tests.fixtures.mailboxes import token_for
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
    """They count together: at most 10, whether the account is there or not."""
    await registered(pair.anonymous[0])
    await execute(pair.database, "TRUNCATE identity.attempts")
    # The address that verified is this one: it counts as the owner's only after that.
    await execute(pair.database, "UPDATE identity.mail_tokens SET address = '203.0.113.7'")
    calls = (pair.anonymous[place % 2].identity.Login(logging_in(email, "wrong")) for place in range(200))
    told = Counter(await asyncio.gather(*map(outcome, calls)))
    assert set(told) == {"CREDENTIALS_INVALID", "TOO_MANY_ATTEMPTS"}
    # 5, and one more for each time that the growing wait ends while the 200 are under way.
    assert 5 <= told["CREDENTIALS_INVALID"] <= 10
    entries = await kept(pair.database, "frame.audit_entries")
    assert entries.count('"CREDENTIALS_INVALID"') == told["CREDENTIALS_INVALID"]


async def test_owner_and_strangers_at_once(proxied: Running) -> None:
    """However the strangers hammer, each sign-in of the owner from where it was before gets through."""
    await registered(proxied.anonymous)
    home = proxied.calling_from("10.1.1.1")
    await logged_in(home)

    async def hammer(place: int) -> None:
        stranger = proxied.calling_from(f"10.2.2.{place}")
        while not done.is_set():
            assert await outcome(stranger.identity.Login(logging_in(password="wrong"))) != "done"

    done = asyncio.Event()
    strangers = [asyncio.create_task(hammer(place)) for place in range(10)]
    told = [await outcome(home.identity.Login(logging_in())) for _ in range(5)]
    done.set()
    await asyncio.gather(*strangers)
    # Hashing may be overloaded for a moment, but nobody is held up for what others tried.
    assert "TOO_MANY_ATTEMPTS" not in told
    assert "done" in told


async def test_of_many_that_register_one_address_at_once_one_gets_it(server: Running) -> None:
    """However they write it, all are answered alike."""
    emails = ["ada@example.com", "ADA@example.com", "Ada@Example.com", "ada@EXAMPLE.com"] * 2
    calls = (outcome(server.anonymous.identity.Register(registering(email))) for email in emails)
    assert Counter(await asyncio.gather(*calls)) == {"done": 8}
    assert (await kept(server.database, "identity.accounts")).count("ada@example.com") == 1
    await server.mailbox.send_all()
    kinds = Counter(letter.kind for letter in server.mailbox.sent.letters)
    assert kinds == {"verify_email": 1, "address_registered_again": 3}


async def test_a_registration_sent_many_times_at_once_registers_one_user(server: Running) -> None:
    """Every copy of the request is answered with the same user, and one mail is sent."""
    request = registering()
    answers = await asyncio.gather(*(server.anonymous.identity.Register(request) for _ in range(8)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert len(await server.mailbox.texts_for("ada@example.com")) == 1


async def test_of_many_that_use_one_token_at_once_one_does(server: Running) -> None:
    """A token sets one password, and the one that was told so is the one that signs in."""
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


async def test_a_reset_sent_many_times_at_once_is_made_once(server: Running) -> None:
    """Copies of one request are all answered as the first, although the token is then used up."""
    await registered(server.anonymous)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ada@example.com"))
    token = await token_for(server.mailbox, "ada@example.com")
    request = pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=NEW_PASSWORD)
    told = await asyncio.gather(*(outcome(server.anonymous.identity.ResetPassword(request)) for _ in range(8)))
    assert told == ["done"] * 8
    assert await outcome(server.anonymous.identity.Login(logging_in(password=PASSWORD))) == "CREDENTIALS_INVALID"


async def test_a_token_verified_many_times_at_once_verifies_once(server: Running) -> None:
    """One use counts, and the address is verified."""
    await server.anonymous.identity.Register(registering())
    token = await token_for(server.mailbox, "ada@example.com")
    calls = (server.anonymous.identity.VerifyEmail(pb.VerifyEmailRequest(token=token)) for _ in range(8))
    assert Counter(await asyncio.gather(*map(outcome, calls))) == {"done": 1, "MAIL_TOKEN_INVALID": 7}
    assert (await logged_in(server.anonymous)).access_token
