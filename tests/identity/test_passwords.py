"""How passwords are hashed and checked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from argon2 import PasswordHasher
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.frame.errors import Overloaded
from server.identity.credentials.passwords import Passwords
from tests.fixtures.servers import Running, refused
from tests.identity.people import PASSWORD, logging_in, me


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_password_matches_only_its_own_hash(passwords: Passwords) -> None:
    """A single letter in another case does not match."""
    known = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, known)
    assert not await passwords.verify(PASSWORD.capitalize(), known)
    assert not await passwords.verify("", known)


async def test_a_hash_is_argon2id_by_the_cheat_sheet_and_salted(passwords: Passwords) -> None:
    """19 MiB, 2 passes, 1 lane, and never the same hash twice."""
    one, two = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two


async def test_nothing_matches_without_a_hash(passwords: Passwords) -> None:
    """Not even the password that the stand-in hash was made from."""
    assert not await passwords.verify(PASSWORD, None)
    assert not await passwords.verify("the password of no account", None)


@pytest.mark.parametrize("known", ["none", "$argon2id$v=19$m=1", ""])
async def test_an_invalid_hash_matches_nothing(passwords: Passwords, known: str) -> None:
    """It does not raise either."""
    assert not await passwords.verify(PASSWORD, known)


async def test_checking_costs_the_same_without_a_hash(passwords: Passwords, evaluations: "Counter[str]") -> None:
    """From the very first check on, there is one evaluation with and without an account."""
    known = await passwords.hash(PASSWORD)
    spent = []
    for held in (known, None, None, known):
        evaluations.clear()
        await passwords.verify("not the password", held)
        spent.append(evaluations.total())
    assert spent == [1, 1, 1, 1]


async def test_a_hash_with_weaker_parameters_is_recognized(passwords: Passwords) -> None:
    """It can be made again when its owner signs in."""
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    assert passwords.outdated(weaker)
    assert await passwords.verify(PASSWORD, weaker)
    assert not passwords.outdated(await passwords.hash(PASSWORD))


async def test_more_than_can_be_done_soon_is_refused_at_once(evaluations: "Counter[str]") -> None:
    """One is computed and three wait; all others are refused, and cost nothing. Afterwards there is room again."""
    passwords = Passwords(threads=1, waiting=3)
    evaluations.clear()
    try:
        answers = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(20)), return_exceptions=True)
        assert Counter(type(answer) for answer in answers) == {str: 4, Overloaded: 16}
        assert evaluations.total() == 4
        assert await passwords.hash(PASSWORD)
    finally:
        passwords.close()


async def test_a_caller_that_leaves_while_waiting_frees_its_place(evaluations: "Counter[str]") -> None:
    """A cancelled evaluation is never computed."""
    passwords = Passwords(threads=1, waiting=3)
    try:
        waiting = [asyncio.ensure_future(passwords.hash(PASSWORD)) for _ in range(4)]
        await asyncio.sleep(0)
        for each in waiting[1:]:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        evaluations.clear()
        assert len(await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(4)))) == 4
        assert evaluations.total() == 4
    finally:
        passwords.close()


@pytest.mark.slow
async def test_a_flood_of_logins_does_not_starve_other_calls(full_cost: Running) -> None:
    """While 150 accounts are tried at once, GetMe and health are answered, and not only afterwards.

    The excess is refused with a time to retry.
    """
    customer = await full_cost.sign_in("customer")
    health: Any = health_pb2_grpc.HealthStub(full_cost.channel)
    await me(customer)
    async with asyncio.TaskGroup() as tasks:
        tries = [_tried(full_cost, f"{place}@example.com", f"10.1.1.{place}") for place in range(150)]
        flood = [tasks.create_task(each) for each in tries]
        answered = 0
        while not all(each.done() for each in flood):
            await me(customer)
            await health.Check(health_pb2.HealthCheckRequest(service="liveness"))
            answered += not all(each.done() for each in flood)
    outcomes = Counter(each.result() for each in flood)
    # On a slow machine some wait too long for one of the few database connections, and get the same refusal.
    assert set(outcomes) <= {("CREDENTIALS_INVALID", None), ("OVERLOADED", 1.0), ("DATABASE_UNAVAILABLE", 1.0)}
    assert outcomes["OVERLOADED", 1.0]
    assert answered > 1


async def _tried(server: Running, email: str, address: str) -> tuple[str, float | None]:
    try:
        await server.calling_from(address).identity.Login(logging_in(email))
    except grpc.aio.AioRpcError as error:
        found = refused(error)
        return found.reason, found.retry_after
    return "done", None
