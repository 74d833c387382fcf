"""Endpoints' secrets are sealed in the database."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from server.frame.sealing import MasterKeys, SealBroken
from server.webhooks.rules.signing import shown
from server.webhooks.seals import SecretSeals
from server.webhooks.service import Deliveries, Sealing
from storage.webhooks.store import WEBHOOKS
from tests.identity.people import execute, kept
from tests.webhooks.outgoing import CALLER, SEALS, SECRET, TYPES, Outbox, Subscriber, subscriber

OTHER = bytes(range(32, 64))
SECRETS = "webhooks.endpoint_secrets"


@pytest.fixture
async def shop() -> AsyncIterator[Subscriber]:
    async with subscriber() as opened:
        yield opened


async def in_the_clear(outbox: Outbox, endpoint_id: UUID) -> None:
    """As an earlier version stored it."""
    statement = f"UPDATE {SECRETS} SET secret = :secret, sealed = false WHERE endpoint_id = :id"
    await execute(outbox.database, statement, secret=SECRET, id=endpoint_id)


async def test_a_secret_is_stored_sealed(outbox: Outbox, shop: Subscriber) -> None:
    """The first one and each later one; requests are signed with the secret that its owner was shown."""
    endpoint = await outbox.endpoint(shop.url)
    await outbox.endpoints.rotate(CALLER, endpoint.id, outbox.ask)
    found = await kept(outbox.database, SECRETS)
    assert SECRET.hex() not in found
    assert found.count('"sealed":true') == 2
    await outbox.attempt(await outbox.test_event(endpoint))
    (heard,) = shop.heard
    Webhook(shown(SECRET)).verify(heard.body, dict(heard.headers))


async def test_a_secret_opens_only_in_its_own_row(outbox: Outbox, shop: Subscriber) -> None:
    """Someone who can write to the database cannot make one endpoint's secret sign for another."""
    one, two = await outbox.endpoint(shop.url), await outbox.endpoint(shop.url)
    await execute(
        outbox.database,
        f"UPDATE {SECRETS} SET secret = (SELECT secret FROM {SECRETS} WHERE endpoint_id = :one)"
        " WHERE endpoint_id = :two",
        one=one.id,
        two=two.id,
    )
    with pytest.raises(SealBroken):
        await outbox.attempt(await outbox.test_event(two))
    assert shop.heard == []


async def test_a_secret_in_the_clear_signs_and_is_sealed(outbox: Outbox, shop: Subscriber) -> None:
    """An earlier version's secrets work, before and after."""
    endpoint = await outbox.endpoint(shop.url)
    await in_the_clear(outbox, endpoint.id)
    await outbox.attempt(await outbox.test_event(endpoint))
    assert await Sealing(outbox.database.store(WEBHOOKS), SEALS).seal() == 1
    assert SECRET.hex() not in await kept(outbox.database, SECRETS)
    assert await Sealing(outbox.database.store(WEBHOOKS), SEALS).seal() == 0
    await outbox.attempt(await outbox.test_event(endpoint))
    for heard in shop.heard:
        Webhook(shown(SECRET)).verify(heard.body, dict(heard.headers))


async def test_master_keys_are_changed_in_turn(outbox: Outbox, shop: Subscriber) -> None:
    """Once sealed again with the new one, the old one can be removed; without both, nothing changes."""
    endpoint = await outbox.endpoint(shop.url)
    both, new = SecretSeals(MasterKeys([OTHER, bytes(range(32))])), SecretSeals(MasterKeys([OTHER]))
    before = await kept(outbox.database, SECRETS)
    with pytest.raises(SealBroken):
        await Sealing(outbox.database.store(WEBHOOKS), new).seal()
    assert await kept(outbox.database, SECRETS) == before
    assert await Sealing(outbox.database.store(WEBHOOKS), both).seal() == 1
    assert await Sealing(outbox.database.store(WEBHOOKS), new).seal() == 0
    delivery = await outbox.test_event(endpoint)
    rest = (lambda: 0.5, TYPES, outbox.permissions_of)
    await Deliveries(outbox.database.store(WEBHOOKS), outbox.sender, new, outbox.now, *rest).attempt(delivery.id)
    (heard,) = shop.heard
    Webhook(shown(SECRET)).verify(heard.body, dict(heard.headers))
