"""API keys that are shown with each request: looked up once a minute, and refused within a second of their end."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import accounts_pb2
from server.frame.errors import TokenInvalid
from server.identity.service import ShownKeys
from server.identity.service.api_keys import ApiKeys
from server.identity.service.showing_keys import KNOWN_SECONDS
from storage.frame.records import NOBODY, ChangeContext
from tests.fixtures.servers import Api, Running

CONTEXT = ChangeContext(NOBODY, "a test", datetime(2026, 5, 4, tzinfo=UTC), "127.0.0.1")


class Counted:
    """The use cases of API keys, and how often a key was looked up."""

    def __init__(self, api_keys: Any) -> None:
        self._api_keys = api_keys
        self.lookups = 0

    async def identify(self, *args: Any, **named: Any) -> Any:
        self.lookups += 1
        return await self._api_keys.identify(*args, **named)


class Shown:
    """Keys as a server knows them, by a clock of the test's."""

    def __init__(self, server: Running) -> None:
        identity = server.application.identity
        self.elapsed = 0.0
        self.api_keys = Counted(identity.api_keys)
        self.keys = ShownKeys(cast(ApiKeys, self.api_keys), identity.access_cache, lambda: self.elapsed)

    async def account_of(self, credential: str) -> UUID:
        return (await self.keys.caller_with(credential, CONTEXT)).account_id


async def made(admin: Api) -> tuple[str, UUID]:
    """A key, and the service account that it is of."""
    account = accounts_pb2.ServiceAccount(name="page", roles=["service"])
    answer = await admin.access.CreateServiceAccount(pb.CreateServiceAccountRequest(service_account=account))
    return answer.secret, UUID(answer.service_account.service_account_id)


async def refused_soon(shown: Shown, credential: str) -> None:
    """Returns once the key is refused, as it is within a second."""
    async with asyncio.timeout(30):
        while True:
            try:
                await shown.account_of(credential)
            except TokenInvalid:
                return
            await asyncio.sleep(0.02)


async def test_a_key_is_looked_up_once_a_minute(own_server: Running) -> None:
    """However often it is shown; then it is looked up again, so that its last use is recorded."""
    admin, shown = await own_server.sign_in("admin"), Shown(own_server)
    key, account_id = await made(admin)
    for _ in range(5):
        assert await shown.account_of(key) == account_id
    assert shown.api_keys.lookups == 1
    shown.elapsed = KNOWN_SECONDS + 1
    assert await shown.account_of(key) == account_id
    assert shown.api_keys.lookups == 2


async def test_a_deleted_key_is_refused_though_it_is_known(own_server: Running) -> None:
    """Within a second, and without being looked up again."""
    admin, shown = await own_server.sign_in("admin"), Shown(own_server)
    key, account_id = await made(admin)
    assert await shown.account_of(key) == account_id
    listed = await admin.access.ListKeys(pb.ListKeysRequest(service_account_id=str(account_id)))
    await admin.access.DeleteKey(pb.DeleteKeyRequest(key_id=listed.keys[0].key_id))
    await refused_soon(shown, key)
    assert shown.api_keys.lookups == 1
    shown.elapsed = KNOWN_SECONDS + 1
    await refused_soon(shown, key)


async def test_a_disabled_account_is_refused_by_its_known_key(own_server: Running) -> None:
    """As by its tokens."""
    admin, shown = await own_server.sign_in("admin"), Shown(own_server)
    key, account_id = await made(admin)
    assert await shown.account_of(key) == account_id
    await admin.access.DisableAccount(pb.DisableAccountRequest(account_id=str(account_id)))
    await refused_soon(shown, key)


async def test_a_wrong_key_is_looked_up_each_time_and_a_token_never(own_server: Running) -> None:
    """What is not a key is not remembered: guesses do not drive known keys out."""
    admin, shown = await own_server.sign_in("admin"), Shown(own_server)
    key, _ = await made(admin)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await shown.account_of(key[:-1] + ("0" if key[-1] != "0" else "1"))
    lookups = shown.api_keys.lookups
    assert admin.token is not None
    assert await shown.account_of(admin.token) == admin.account_id
    assert shown.api_keys.lookups == lookups
