"""Login as a guesser sees it: nothing is revealed, and it takes ever longer."""

import asyncio
from collections import Counter

import grpc
import pytest
from argon2 import PasswordHasher

from backroom.identity.v1 import identity_service_pb2
from server.identity.credentials.passwords import Passwords
from storage.database import Database
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    changing,
    execute,
    kept,
    logged_in,
    logging_in,
    outcome,
    registered,
    registering,
    running,
)

WRONG = "not the password"
ATTEMPTS = [
    ("ada@example.com", WRONG),
    ("nobody@example.com", PASSWORD),
    ("disabled@example.com", PASSWORD),
    ("unverified@example.com", PASSWORD),
]
"""A wrong password; and the right ones of an account that does not exist, is disabled, or is not verified."""


@pytest.fixture
async def peopled(proxied: Running) -> Running:
    """A server with the account Ada, a disabled one, and one whose address is not verified."""
    for email in ("ada@example.com", "disabled@example.com"):
        await registered(proxied.anonymous, email)
    await proxied.anonymous.identity.Register(registering("unverified@example.com"))
    await execute(
        proxied.database, "UPDATE identity.accounts SET disable_time = now() WHERE email = 'disabled@example.com'"
    )
    return proxied


async def test_all_failures_look_the_same(peopled: Running) -> None:
    """Code, reason, text and details are equal, so that no caller learns which addresses have an account."""
    told = [await refusal(peopled.anonymous.identity.Login(logging_in(*each))) for each in ATTEMPTS]
    assert told == [told[0]] * len(ATTEMPTS)
    assert (told[0].code, told[0].reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert await kept(peopled.database, "identity.sessions") == ""


async def test_every_failure_is_the_same_work(
    peopled: Running, evaluations: "Counter[str]", statements: list[str]
) -> None:
    """Argon2 runs once, and the same statements run, from the server's first call on."""
    spent = []
    for place, each in enumerate(ATTEMPTS):
        evaluations.clear()
        statements.clear()
        await refusal(peopled.calling_from(f"10.0.0.{place}").identity.Login(logging_in(*each)))
        await peopled.idle()
        spent.append((dict(evaluations), list(statements)))
    assert spent == [spent[0]] * len(ATTEMPTS)
    assert spent[0][0] == {"verify": 1}
    assert len(spent[0][1]) > 4


async def test_every_failure_is_throttled_alike(peopled: Running) -> None:
    """After five attempts each has to wait for a second, whether the account exists or not."""
    for place, (email, password) in enumerate(ATTEMPTS):
        caller = peopled.calling_from(f"10.0.0.{place}")
        for _ in range(5):
            assert await outcome(caller.identity.Login(logging_in(email, password))) == "CREDENTIALS_INVALID"
        held = await refusal(caller.identity.Login(logging_in(email, password)))
        assert (held.code, held.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
        assert held.retry_after is not None
        assert 0 < held.retry_after <= 1


async def test_every_failure_leaves_an_entry(peopled: Running) -> None:
    """With the account if the address is verified; a refused call does not roll its entry back."""
    await execute(peopled.database, "TRUNCATE frame.audit_entries CASCADE")
    for each in ATTEMPTS:
        await refusal(peopled.calling_from("10.9.8.7").identity.Login(logging_in(*each)))
    entries = await kept(peopled.database, "frame.audit_entries")
    assert entries.count('"result":"CREDENTIALS_INVALID"') == 4
    assert entries.count('"address":"10.9.8.7"') == 4
    assert entries.count('"resource":"account/"') == 2
    assert WRONG not in entries
    assert PASSWORD not in entries


async def test_200_wrong_passwords_at_once_cost_few_evaluations(peopled: Running, evaluations: "Counter[str]") -> None:
    """From one address, and from a hundred."""
    for addresses in (["10.0.0.1"], [f"10.0.1.{place}" for place in range(100)]):
        await execute(peopled.database, "TRUNCATE identity.attempts")
        evaluations.clear()
        callers = [peopled.calling_from(addresses[place % len(addresses)]) for place in range(200)]
        told = await asyncio.gather(*(outcome(each.identity.Login(logging_in(password=WRONG))) for each in callers))
        found = Counter(told)
        # On a slow machine more than 100 calls of one network are under way together, and some are refused unevaluated.
        assert set(found) - {"TOO_MANY_CONCURRENT_CALLS"} == {"CREDENTIALS_INVALID", "TOO_MANY_ATTEMPTS"}
        # 5, and one more for each time that the growing wait ends while the 200 are under way.
        assert 5 <= found["CREDENTIALS_INVALID"] == evaluations.total() <= 10


async def test_a_success_resets_the_free_attempts(peopled: Running) -> None:
    """Four wrong, one right, repeatedly, is a person and no attack."""
    caller = peopled.calling_from("10.1.1.1")
    for _ in range(4):
        for _ in range(4):
            assert await outcome(caller.identity.Login(logging_in(password=WRONG))) == "CREDENTIALS_INVALID"
        await logged_in(caller)


async def test_counters_survive_a_restart(database: Database, clock: Clock) -> None:
    """A restart resets none."""
    for _ in range(5):
        async with running(database, clock) as server:
            assert await outcome(server.anonymous.identity.Login(logging_in())) == "CREDENTIALS_INVALID"
    async with running(database, clock) as server:
        assert (await refusal(server.anonymous.identity.Login(logging_in()))).retry_after == 1


async def test_a_wrong_current_password_is_counted_for_the_session(
    proxied: Running, evaluations: "Counter[str]"
) -> None:
    """A thief of a token guesses no faster by ChangePassword; another session of the owner is not delayed."""
    await registered(proxied.anonymous)
    tokens = await logged_in(proxied.anonymous)
    thief = proxied.calling_from("10.6.6.6", tokens.access_token)
    evaluations.clear()
    told = await asyncio.gather(*(outcome(thief.identity.ChangePassword(changing(WRONG))) for _ in range(20)))
    assert Counter(told) == {"CREDENTIALS_INVALID": 5, "TOO_MANY_ATTEMPTS": 15}
    assert evaluations.total() == 5
    again = (await logged_in(proxied.anonymous)).access_token
    assert await outcome(Api(proxied.channel, again).identity.ChangePassword(changing())) == "done"
    entries = await kept(proxied.database, "frame.audit_entries")
    assert entries.count('"result":"CREDENTIALS_INVALID"') == 5


async def test_attempts_refused_as_overload_are_not_counted(peopled: Running) -> None:
    """They were not evaluated."""
    identity = peopled.application.identity
    identity.passwords._room = 0
    for _ in range(8):
        held = await refusal(peopled.anonymous.identity.Login(logging_in()))
        assert (held.code, held.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert held.retry_after == 1
    identity.passwords._room = 10
    assert (await logged_in(peopled.anonymous)).access_token


@pytest.fixture
async def weakened(full_cost: Running) -> Running:
    """A server where Ada's hash has weaker parameters than the current ones."""
    await registered(full_cost.anonymous)
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await execute(full_cost.database, "UPDATE identity.accounts SET password_hash = :weak", weak=weak)
    return full_cost


async def test_a_sign_in_strengthens_a_weak_hash(weakened: Running) -> None:
    """The same password signs in before and after, and the session that did it continues."""
    tokens = await logged_in(weakened.anonymous)
    assert "m=19456,t=2,p=1" in await kept(weakened.database, "identity.accounts")
    assert (await logged_in(weakened.anonymous)).access_token
    assert (await logged_in(weakened.anonymous, "ada@example.com")).refresh_token != tokens.refresh_token


async def test_a_wrong_password_strengthens_nothing(weakened: Running) -> None:
    """Only the right one can be hashed again."""
    before = await kept(weakened.database, "identity.accounts")
    await refusal(weakened.anonymous.identity.Login(logging_in(password=WRONG)))
    assert await kept(weakened.database, "identity.accounts") == before


async def test_many_sign_ins_at_once_strengthen_a_hash_and_all_get_in(weakened: Running) -> None:
    """One whose check was overtaken by another's better hash checks again."""
    told = await asyncio.gather(*(outcome(weakened.anonymous.identity.Login(logging_in())) for _ in range(4)))
    assert told == ["done"] * 4


class Overtaken(Passwords):
    """The owner changes the password while a weak hash is made again."""

    async def hash(self, password: str) -> str:
        made = await super().hash(password)
        if password == PASSWORD:
            changed = await super().hash(NEW_PASSWORD)
            await execute(self.database, "UPDATE identity.accounts SET password_hash = :changed", changed=changed)
        return made

    database: Database


async def test_strengthening_never_undoes_a_change(weakened: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new password remains, even if a sign-in with the old one is under way."""
    passwords = Overtaken()
    passwords.database = weakened.database
    monkeypatch.setattr(weakened.application.identity.signing_in, "_passwords", passwords)
    try:
        await logged_in(weakened.anonymous)
        assert await outcome(weakened.anonymous.identity.Login(logging_in())) == "CREDENTIALS_INVALID"
        assert (await logged_in(weakened.anonymous, password=NEW_PASSWORD)).access_token
    finally:
        passwords.close()


async def test_a_stranger_cannot_choose_its_address(timed: Running) -> None:
    """A server without trusted proxies uses the connection's address, whatever is sent."""
    told = [
        await outcome(timed.calling_from(f"10.0.0.{place}").identity.Login(logging_in(f"{place}@example.com")))
        for place in range(22)
    ]
    assert Counter(told) == {"CREDENTIALS_INVALID": 20, "TOO_MANY_ATTEMPTS": 2}


async def test_a_session_shows_the_address_behind_the_proxy(peopled: Running) -> None:
    """The owner recognizes it."""
    tokens = await logged_in(peopled.calling_from("198.51.100.4"))
    ada = Api(peopled.channel, tokens.access_token)
    listed = await ada.identity.ListSessions(identity_service_pb2.ListSessionsRequest())
    assert [session.address for session in listed.sessions] == ["198.51.100.4"]
