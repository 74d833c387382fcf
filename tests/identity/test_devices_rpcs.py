"""Device tokens: they let an owner in while strangers guess, and reveal nothing to strangers."""

import base64
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from backroom.identity.v1 import identity_service_pb2 as pb
from storage.store import FRAME
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    changing,
    kept,
    logged_in,
    logging_in,
    me,
    outcome,
    registered,
)

ADA, BOB = "ada@example.com", "bob@example.com"
WRONG = "not the password"


async def device_of(api: Api, email: str = ADA, password: str = PASSWORD) -> str:
    """The device token of a sign-in."""
    return (await api.identity.Login(logging_in(email, password))).device_token  # type: ignore[no-any-return] # stubs


async def guessed(api: Api, email: str = ADA, device_token: str = "", password: str = WRONG) -> str:
    return await outcome(api.identity.Login(logging_in(email, password, device_token)))


async def hammered(server: Running, email: str = ADA) -> None:
    """Enough failures from many addresses to make an account wait."""
    for place in range(8):
        await guessed(server.calling_from(f"10.2.2.{place}"), email)


async def test_strangers_do_not_lock_out_the_owners_device(proxied: Running) -> None:
    """From whatever address; without it, even the right password has to wait."""
    await registered(proxied.anonymous)
    device = await device_of(proxied.calling_from("10.1.1.1"))
    await hammered(proxied)
    elsewhere = proxied.calling_from("10.3.3.3")
    assert await guessed(elsewhere, password=PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert await guessed(elsewhere, device_token=device, password=PASSWORD) == "done"


async def test_a_device_that_guesses_has_to_wait(proxied: Running) -> None:
    """A thief of the device token has five guesses, and delays neither the account nor its other devices."""
    await registered(proxied.anonymous)
    stolen, kept_safe = [await device_of(proxied.anonymous) for _ in range(2)]
    told = [await guessed(proxied.anonymous, device_token=stolen) for _ in range(8)]
    assert Counter(told) == {"CREDENTIALS_INVALID": 5, "TOO_MANY_ATTEMPTS": 3}
    assert await guessed(proxied.anonymous, device_token=stolen, password=PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert await guessed(proxied.anonymous, device_token=kept_safe, password=PASSWORD) == "done"
    assert await guessed(proxied.anonymous, password=PASSWORD) == "done"


async def test_a_shared_address_reveals_no_account(proxied: Running, evaluations: "Counter[str]") -> None:
    """Once its guesses are used up, none is evaluated, whatever account signed in from it before."""
    emails = [f"{place}@example.com" for place in range(10)]
    office = proxied.calling_from("10.1.1.1")
    for place, email in enumerate(emails):
        await registered(proxied.calling_from(f"10.4.4.{place}"), email)
        await logged_in(office, email)
    for place in range(20):
        assert await guessed(office, f"invented-{place}@example.com") == "CREDENTIALS_INVALID"
    evaluations.clear()
    for email in (*emails, *(f"unheard-of-{place}@example.com" for place in range(10))):
        assert await guessed(office, email) == "TOO_MANY_ATTEMPTS"
        assert await guessed(office, email, password=PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert evaluations.total() == 0


async def test_an_account_that_waits_does_not_reveal_its_owners_address(proxied: Running) -> None:
    """The same from the owner's address, from any other, and for an account that does not exist."""
    await registered(proxied.anonymous)
    office = proxied.calling_from("10.1.1.1")
    await logged_in(office)
    for email in (ADA, "invented@example.com"):
        await hammered(proxied, email)
        for api in (office, proxied.calling_from("10.5.5.5")):
            assert await guessed(api, email) == "TOO_MANY_ATTEMPTS"


async def test_another_accounts_device_token_has_no_effect(proxied: Running) -> None:
    """Whether that account exists or not."""
    for email in (ADA, BOB):
        await registered(proxied.anonymous, email)
    mine = await device_of(proxied.anonymous, BOB)
    for email in (ADA, "invented@example.com"):
        await hammered(proxied, email)
        assert await guessed(proxied.calling_from("10.6.6.6"), email, mine) == "TOO_MANY_ATTEMPTS"


async def test_a_malformed_device_token_has_no_effect(proxied: Running) -> None:
    """Changed in any place, padded, truncated, or made up: as if none was sent."""
    await registered(proxied.anonymous)
    device = await device_of(proxied.anonymous)
    await hammered(proxied)
    raw = bytearray(base64.urlsafe_b64decode(device[4:] + "=" * (-len(device[4:]) % 4)))
    forged = ["", "x", "brd_", "brd_é", device + "=", device[:-1], device[4:], device.swapcase(), "brr_" + device[4:]]
    for place in (0, 16, 39, 40, len(raw) - 1):
        other = bytearray(raw)
        other[place] ^= 1
        forged.append("brd_" + base64.urlsafe_b64encode(other).decode().rstrip("="))
    for token in forged:
        assert await guessed(proxied.anonymous, device_token=token, password=PASSWORD) == "TOO_MANY_ATTEMPTS", token
    assert await guessed(proxied.anonymous, device_token=device, password=PASSWORD) == "done"


@pytest.mark.parametrize("how", ["ChangePassword", "ResetPassword"])
async def test_a_new_password_invalidates_all_device_tokens(proxied: Running, how: str) -> None:
    """ResetPassword returns a new one, so that no stranger locks its owner out."""
    await registered(proxied.anonymous)
    signed_in = await proxied.anonymous.identity.Login(logging_in())
    given = ""
    if how == "ChangePassword":
        mine = Api(proxied.channel, signed_in.tokens.access_token)
        await mine.identity.ChangePassword(changing())
    else:
        await proxied.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
        request: Any = pb.ResetPasswordRequest(
            request_id="5f0c3c2e-5c55-4a8b-9f1e-3f5f6a0f9d7e",
            token=await token_for(proxied.mailbox, ADA),
            new_password=NEW_PASSWORD,
        )
        given = (await proxied.anonymous.identity.ResetPassword(request)).device_token
        assert (await proxied.anonymous.identity.ResetPassword(request)).device_token == given
    await hammered(proxied)
    api, device = proxied.anonymous, signed_in.device_token
    assert await guessed(api, device_token=device, password=NEW_PASSWORD) == "TOO_MANY_ATTEMPTS"
    if given:
        assert await guessed(api, device_token=given, password=NEW_PASSWORD) == "done"


async def test_a_device_token_is_valid_for_90_days(timed: Running, clock: Clock) -> None:
    """Each sign-in returns a new one."""
    await registered(timed.anonymous)
    device = await device_of(timed.anonymous)
    clock.advance(days=90, seconds=-1)
    for _ in range(6):
        await guessed(timed.anonymous)
    assert await guessed(timed.anonymous, device_token=device, password=PASSWORD) == "done"
    clock.advance(seconds=1)
    for _ in range(6):
        await guessed(timed.anonymous)
    assert await guessed(timed.anonymous, device_token=device, password=PASSWORD) == "TOO_MANY_ATTEMPTS"


async def test_strangers_do_not_keep_a_signed_in_owner_from_changing_the_password(proxied: Running) -> None:
    """It is counted by the session, whatever is tried at the account."""
    await registered(proxied.anonymous)
    tokens = await logged_in(proxied.anonymous)
    await hammered(proxied)
    mine = Api(proxied.channel, tokens.access_token)
    assert await outcome(mine.identity.ChangePassword(changing())) == "done"


async def test_a_changed_password_invalidates_mail_tokens(server: Running) -> None:
    """A reset that was requested before cannot set another password afterwards."""
    await registered(server.anonymous)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
    token = await token_for(server.mailbox, ADA)
    mine = Api(server.channel, (await logged_in(server.anonymous)).access_token)
    await mine.identity.ChangePassword(changing())
    reset = pb.ResetPasswordRequest(token=token, new_password="yet another password")
    assert await outcome(server.anonymous.identity.ResetPassword(reset)) == "MAIL_TOKEN_INVALID"
    tokens = await logged_in(server.anonymous, password=NEW_PASSWORD)
    assert (await me(Api(server.channel, tokens.access_token))).user.email == ADA


async def test_a_caller_with_a_large_ipv6_network_is_throttled(proxied: Running, evaluations: "Counter[str]") -> None:
    """60 guesses, each from another /64 of one /56, and then from another /56 of the /48."""
    for place in range(60):
        await guessed(proxied.calling_from(f"2001:db8:1:{place:x}::7"), f"{place}@example.com")
    assert evaluations.total() == 30
    for place in range(60):
        await guessed(proxied.calling_from(f"2001:db8:1:{place + 1:x}00::7"), f"{place}@example.com")
    assert evaluations.total() == 40


async def test_no_device_token_is_stored(server: Running) -> None:
    """The database contains nothing of it."""
    await registered(server.anonymous)
    device = await device_of(server.anonymous)
    for table in ("accounts", "sessions", "attempts", "mail_tokens"):
        assert device[4:] not in await kept(server.database, f"identity.{table}")


async def test_changing_the_password_returns_a_device_token(proxied: Running) -> None:
    """Otherwise strangers could lock its owner out after the change; repeating it returns the same token."""
    await registered(proxied.anonymous)
    tokens = await logged_in(proxied.anonymous)
    request = changing()
    device = (await Api(proxied.channel, tokens.access_token).identity.ChangePassword(request)).device_token
    await hammered(proxied)
    assert await guessed(proxied.anonymous, password=NEW_PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert await guessed(proxied.anonymous, device_token=device, password=NEW_PASSWORD) == "done"
    signed_in = await proxied.anonymous.identity.Login(logging_in(ADA, NEW_PASSWORD, device))
    again = Api(proxied.channel, signed_in.tokens.access_token)
    assert (await again.identity.ChangePassword(request)).device_token == device


@pytest.mark.parametrize("method", ["ChangePassword", "ResetPassword"])
async def test_an_earlier_versions_answer_is_repeated_without_a_device_token(server: Running, method: str) -> None:
    """It stored only that the password was changed, which is not changed again."""
    await registered(server.anonymous)
    if method == "ChangePassword":
        api = Api(server.channel, (await logged_in(server.anonymous)).access_token)
        request: Any = changing()
    else:
        api = server.anonymous
        await api.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
        token = await token_for(server.mailbox, ADA)
        request = pb.ResetPasswordRequest(request_id=str(uuid4()), token=token, new_password=NEW_PASSWORD)
    await getattr(api.identity, method)(request)
    async with server.database.store(FRAME).transaction() as tx:
        statement = "UPDATE frame.request_ids SET answer = 'true' WHERE request_id = :request_id"
        await tx._connection.execute(text(statement), {"request_id": UUID(request.request_id)})
    if method == "ChangePassword":
        api = Api(server.channel, (await logged_in(server.anonymous, password=NEW_PASSWORD)).access_token)
    assert (await getattr(api.identity, method)(request)).device_token == ""
    assert await guessed(server.anonymous, password=NEW_PASSWORD) == "done"
