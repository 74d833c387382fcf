"""Keys are rotated while callers keep calling."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.frame.module import now
from server.identity.service import KeyRotation
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.records import KeyUse
from storage.identity.store import IDENTITY
from tests.faults.load import until
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running
from tests.identity.access_cache import within_a_second
from tests.identity.people import me, outcome, refreshed

GET_ME = identity_service_pb2.GetMeRequest()
SOONEST = timedelta(seconds=2)
KINDS = ("refresh", "exchange", "call")


class Load:
    """Continuous callers of two servers: with tokens of all ages, refreshing them, and exchanging keys."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._turn = itertools.count()
        self.outcomes: Counter[str] = Counter()
        """The outcomes of the calls, by kind."""

    def _api(self, token: str | None = None) -> Api:
        return Api(self._pair.channels[next(self._turn) % 2], token)

    async def refreshes(self, refresh_token: str) -> None:
        """Each refresh is repeated, as if the first answer had been lost: the token must be the same."""
        while True:
            first, again = [await refreshed(self._api(), refresh_token) for _ in range(2)]
            self.outcomes["refresh"] += 1
            assert first.refresh_token == again.refresh_token
            refresh_token = first.refresh_token
            await self._calls(first.access_token)

    async def exchanges(self, key: str) -> None:
        while True:
            answer = await self._api().access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=key))
            self.outcomes["exchange"] += 1
            await self._calls(answer.access_token)

    async def holds(self, token: str) -> None:
        """One token all along, as a caller keeps it for a quarter of an hour."""
        while True:
            await self._calls(token)

    async def goes_on(self, count: int) -> None:
        """Returns once so many more calls of each kind were answered."""
        before = self.outcomes.copy()
        await until(lambda: all(self.outcomes[kind] >= before[kind] + count for kind in KINDS))

    async def _calls(self, token: str) -> None:
        for _ in range(2):
            await me(self._api(token))
            self.outcomes["call"] += 1


@asynccontextmanager
async def under_load(pair: Pair) -> AsyncIterator[Load]:
    """A failed call fails the test."""
    load = Load(pair)
    identity = pair.application.identity
    (boss, _) = await pair.sign_in("admin")
    made = await boss.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(
            request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
        )
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.exchanges(made.secret)), group.create_task(load.holds(str(boss.token)))]
        for _ in range(3):
            api = (await pair.sign_in("customer"))[0]
            said = await identity.tokens.verified(str(api.token))
            async with pair.database.store(IDENTITY).reading() as tx:
                session = await tx.sessions.find(said.issued_for)
            assert session is not None
            refresh_token = await identity.secrets.refresh_token(session)
            tasks.append(group.create_task(load.refreshes(refresh_token)))
        yield load
        for task in tasks:
            task.cancel()


async def _rotations(pair: Pair, load: Load, count: int) -> set[str]:
    """This many rotations, each as soon as possible after the previous one and some calls; returns the ids of the
    signing keys."""
    rotation = KeyRotation(pair.database.store(IDENTITY), MASTER_KEYS, now)
    made = set()
    for _ in range(count):
        keys = await rotation.rotate(SOONEST, ChangeContext(NOBODY, "test", now()))
        made |= {key.id for key in keys if key.use is KeyUse.SIGN}
        await asyncio.gather(asyncio.sleep(SOONEST.total_seconds() + 0.3), load.goes_on(10))
    return made


async def _rotated_under_load(pair: Pair, count: int) -> Load:
    async with under_load(pair) as load:
        made = await _rotations(pair, load, count)
        newest, _ = await pair.application.identity.keys.signing()
    assert newest in made
    return load


async def test_no_call_fails_while_keys_are_rotated(own_pair: Pair) -> None:
    """Two servers, two rotations with the shortest overlap, and refreshes, exchanges and calls all the time."""
    await _rotated_under_load(own_pair, 2)


@pytest.mark.proof
async def test_no_call_fails_during_many_rotations(own_pair: Pair) -> None:
    """Ten rotations."""
    load = await _rotated_under_load(own_pair, 10)
    print(f"10 rotations: {dict(load.outcomes)}, none failed")  # noqa: T201 - a proof's figures


async def test_tokens_of_a_revoked_key_end_within_a_second(own_pair: Pair) -> None:
    """On both servers, although each had accepted them before; tokens of the next key remain valid."""
    apis = await own_pair.sign_in("customer")
    for api in apis:
        await me(api)
    kid, _ = await own_pair.application.identity.keys.signing()
    rotation = KeyRotation(own_pair.database.store(IDENTITY), MASTER_KEYS, now)
    await rotation.revoke(kid, ChangeContext(NOBODY, "test", now()))

    async def outcomes() -> list[str]:
        return [await outcome(api.identity.GetMe(GET_ME)) for api in apis]

    await within_a_second(outcomes, ["TOKEN_INVALID"] * 2)
    await own_pair.application.identity.keys.load()
    for api in await own_pair.sign_in("customer"):
        await me(api)


async def test_concurrent_rotations_and_first_starts_leave_one_ring(server: Running) -> None:
    """However many processes make keys at the same time: all keys are complete, and one of each use is active."""
    rotation = server.application.identity.key_rotation
    made = await asyncio.gather(*(rotation.rotate(SOONEST, ChangeContext(NOBODY, "test", now())) for _ in range(4)))
    found = await rotation.list_all()
    assert len({key.id for keys in made for key in keys}) == 8
    assert Counter((each.key.use, each.state.value) for each in found) == {
        (use, state): count for use in KeyUse for state, count in (("active", 1), ("next", 4))
    }


async def test_concurrent_requests_for_keys_respect_the_limit(admin: Api) -> None:
    """An account has two at most."""
    created = await admin.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(
            request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
        )
    )
    account_id = created.service_account.service_account_id
    requests = [
        access_service_pb2.CreateKeyRequest(
            request_id=str(uuid4()), key=accounts_pb2.Key(service_account_id=account_id)
        )
        for _ in range(12)
    ]
    outcomes = await asyncio.gather(*(outcome(admin.access.CreateKey(request)) for request in requests))
    assert Counter(outcomes) == {"done": 1, "TOO_MANY_KEYS": 11}
    listing = access_service_pb2.ListKeysRequest(service_account_id=account_id)
    assert len((await admin.access.ListKeys(listing)).keys) == 2


async def test_concurrent_copies_of_a_request_for_a_key_create_one(admin: Api) -> None:
    """Every copy is answered with the same key."""
    created = await admin.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(
            request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
        )
    )
    account_id = created.service_account.service_account_id
    request = access_service_pb2.CreateKeyRequest(
        request_id=str(uuid4()), key=accounts_pb2.Key(service_account_id=account_id)
    )
    answers = await asyncio.gather(*(admin.access.CreateKey(request) for _ in range(8)))
    assert len({answer.secret for answer in answers}) == len({answer.key.key_id for answer in answers}) == 1
