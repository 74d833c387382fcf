"""Data of an earlier version is complete after the upgrade, and after the downgrade."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest

import migrations
from backroom.identity.v1 import access_service_pb2
from server.webhooks.seals import SecretSeals
from storage.database import Database
from storage.url import sibling
from storage.webhooks.store import WEBHOOKS
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, running
from tests.identity.people import me, refreshed
from tests.invariants import broken

SHOP = """
INSERT INTO commerce.products VALUES
    ('00000000-0000-0000-0000-00000000000a', 'TEA', 'Tea', '', 2, 'GBP', false, 1, now(), now());
INSERT INTO commerce.stock VALUES ('00000000-0000-0000-0000-00000000000a', 10, 3);
INSERT INTO commerce.orders (id, customer_id, placed_by, state, line_count, unit_count, total, currency, cancel_reason,
        create_time, update_time) VALUES
    ('00000000-0000-0000-0000-000000000001', 'c', gen_random_uuid(), 'pending', 1, 3, 6, 'GBP', '',
        now() - interval '1 day', now()),
    ('00000000-0000-0000-0000-000000000002', 'c', gen_random_uuid(), 'cancelled', 1, 1, 2, 'GBP', 'x', now(), now());
INSERT INTO commerce.order_lines VALUES
    ('00000000-0000-0000-0000-000000000001', 0, '00000000-0000-0000-0000-00000000000a', 3, 2),
    ('00000000-0000-0000-0000-000000000002', 0, '00000000-0000-0000-0000-00000000000a', 1, 2);
INSERT INTO commerce.stock_movements (product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after,
        order_id, note, account_id, create_time) VALUES
    ('00000000-0000-0000-0000-00000000000a', 'received', 10, 0, 10, 0, NULL, '', gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'held', 0, 3, 10, 3, '00000000-0000-0000-0000-000000000001', '',
        gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'held', 0, 1, 10, 4, '00000000-0000-0000-0000-000000000002', '',
        gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'released', 0, -1, 10, 3, '00000000-0000-0000-0000-000000000002', '',
        gen_random_uuid(), now());
INSERT INTO frame.request_ids VALUES (gen_random_uuid(), gen_random_uuid(), 'digest',
    '{"id": "00000000-0000-0000-0000-000000000002", "cancel_reason": "x", "update_time": "2026-11-21T04:00:00Z"}');
"""


@contextmanager
def standing_at(postgres: str, revision: str) -> Iterator[str]:
    """The URL of a database as an earlier version left it."""
    name = f"old_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = sibling(postgres, name)
        migrations.upgrade(url, revision)
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def old_url(postgres: str) -> Iterator[str]:
    """A database as the version before payments left it."""
    with standing_at(postgres, "0003") as url:
        with psycopg.connect(url) as shop:
            shop.execute(SHOP.encode())
        yield url


DERIVING = b"d" * 32
SESSION, ACCOUNT, SERVICE, ENDPOINT = (UUID(int=number) for number in range(1, 5))
SECRET = b"s" * 32


def derived(purpose: str, content: bytes) -> bytes:
    """The key that the earlier version derived."""
    return hmac.digest(hmac.digest(DERIVING, purpose.encode(), "sha256"), content, "sha256")


def text_of(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


SERVICE_KEY = f"brk_{text_of(derived('service-key', SERVICE.bytes)[:20])}"
CLAIM = SESSION.bytes + (0).to_bytes(4)
REFRESH_TOKEN = f"brr_{text_of(CLAIM + derived('refresh-token', CLAIM))}"


@pytest.fixture
def clear_url(postgres: str) -> Iterator[str]:
    """A database as the version before seals left it: keys and secrets are stored in the clear."""
    with standing_at(postgres, "0006") as url:
        with psycopg.connect(url) as connection:
            keys = [("a" * 16, "sign", b"k" * 32), ("b" * 16, "derive", DERIVING)]
            added = "INSERT INTO identity.keys (id, use, material, create_time) VALUES (%s, %s, %s, now())"
            connection.cursor().executemany(added, keys)
            connection.execute(
                "INSERT INTO identity.accounts (id, kind, email, name, password_hash, key_hash, create_time) VALUES"
                " (%s, 'person', 'ada@example.com', 'Ada', 'none', NULL, now()),"
                " (%s, 'service', NULL, 'till', NULL, %s, now())",
                (ACCOUNT, SERVICE, sha256(SERVICE_KEY.encode()).digest()),
            )
            connection.execute(
                "INSERT INTO identity.sessions (id, account_id, generation, create_time, refresh_time, expire_time)"
                " VALUES (%s, %s, 0, now(), now(), now() + interval '30 days')",
                (SESSION, ACCOUNT),
            )
            connection.execute(
                "INSERT INTO webhooks.endpoints VALUES"
                " (%s, 'https://example.com', '', '{}', 'enabled', '', NULL, 1, now(), now())",
                (ENDPOINT,),
            )
            connection.execute(
                "INSERT INTO webhooks.endpoint_secrets (endpoint_id, generation, secret, create_time)"
                " VALUES (%s, 1, %s, now())",
                (ENDPOINT, SECRET),
            )
        yield url


def secrets_of(url: str) -> dict[str, bytes]:
    """The stored keys and secrets."""
    query = (
        "SELECT id, material FROM identity.keys"
        " UNION ALL SELECT endpoint_id::text, secret FROM webhooks.endpoint_secrets"
    )
    with psycopg.connect(url) as connection:
        return {str(row[0]): bytes(row[1]) for row in connection.execute(query)}


async def test_unsealed_secrets_are_sealed_and_remain_valid(clear_url: str) -> None:
    """When the first server starts; sessions and API keys remain valid."""
    migrations.upgrade(clear_url)
    assert {b"k" * 32, DERIVING, SECRET} == set(secrets_of(clear_url).values())
    database = Database(clear_url, audit_key=MASTER_KEYS.audit_key, pool_size=3)
    async with running(database) as server:
        await server.application.prepare()
        assert not {b"k" * 32, DERIVING, SECRET} & set(secrets_of(clear_url).values())
        assert (await server.application.identity.keys.signing())[0] == "a" * 16
        tokens = await refreshed(server.anonymous, REFRESH_TOKEN)
        answer = await me(Api(server.channel, tokens.access_token))
        assert answer.user.user_id == str(ACCOUNT)
        request = access_service_pb2.ExchangeKeyRequest(key=SERVICE_KEY)
        exchanged = await server.anonymous.access.ExchangeKey(request)
        assert (await me(Api(server.channel, exchanged.access_token))).service_account.name == "till"
        async with database.store(WEBHOOKS).reading() as tx:
            (secret,) = await tx.endpoints.live_secrets(ENDPOINT, datetime.now(UTC))
        assert secret.sealed
        assert SecretSeals(MASTER_KEYS).opened(secret) == SECRET
    await database.close()


async def test_the_downgrade_leaves_nothing_that_the_earlier_version_would_misread(clear_url: str) -> None:
    """It cannot open a seal: it makes its own keys, and mistakes no sealed value for a secret."""
    migrations.upgrade(clear_url)
    database = Database(clear_url, audit_key=MASTER_KEYS.audit_key, pool_size=3)
    async with running(database) as server:
        await server.application.prepare()
    await database.close()
    sealed = secrets_of(clear_url)
    migrations.downgrade(clear_url, "0006")
    left = secrets_of(clear_url)
    assert set(left) == {str(ENDPOINT)}
    assert len(left[str(ENDPOINT)]) == 32
    assert not set(left.values()) & {*sealed.values(), SECRET}


async def test_orders_from_before_payments_remain_valid(old_url: str) -> None:
    """A pending one has the whole reservation ahead of it, and a kept answer is in the current format."""
    migrations.upgrade(old_url)
    with psycopg.connect(old_url) as connection:
        left = "SELECT hold_end_time - now() BETWEEN '14 minutes' AND '15 minutes' FROM commerce.orders"
        assert connection.execute(f"{left} WHERE state = 'pending'".encode()).fetchone() == (True,)
        answer = connection.execute("SELECT answer::jsonb ->> 'hold_end_time' FROM frame.request_ids").fetchone()
        assert answer == ("2026-11-21T04:00:00Z",)
    database = Database(old_url)
    assert await broken(database) == {}
    await database.close()


def test_the_downgrade_keeps_what_the_earlier_version_knows(old_url: str) -> None:
    """Up and down again: no row is lost, and the earlier version's own rules hold."""
    migrations.upgrade(old_url)
    migrations.downgrade(old_url, "0003")
    with psycopg.connect(old_url) as connection:
        counts = "SELECT (SELECT count(*) FROM commerce.orders), (SELECT count(*) FROM commerce.stock_movements)"
        assert connection.execute(counts).fetchone() == (2, 4)
        left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'procrastinate%' OR relname IN ('events', 'payments')"
        assert connection.execute(left).fetchone() == (0,)


def test_payments_from_before_get_their_customer(postgres: str) -> None:
    """Each gets its order's customer; the downgrade removes it."""
    with standing_at(postgres, "0010") as url, psycopg.connect(url, autocommit=True) as shop:
        shop.execute(
            "INSERT INTO commerce.orders SELECT id, NULL, customer, gen_random_uuid(), 'paid', 1, 1, 6, 'GBP', '',"
            " now(), now(), now() FROM (VALUES (%s::uuid, 'ada'), (%s, 'bob')) AS given (id, customer)",
            (SESSION, ACCOUNT),
        )
        shop.execute(
            "INSERT INTO commerce.payments SELECT id, id, gen_random_uuid(), 'sandbox', id::text, 'card', 'captured',"
            " 6, 'GBP', 6, 6, 0, '', false, '', now(), now() FROM commerce.orders"
        )
        migrations.upgrade(url)
        found = shop.execute("SELECT id, customer_id FROM commerce.payments").fetchall()
        assert dict(found) == {SESSION: "ada", ACCOUNT: "bob"}
        migrations.downgrade(url, "0010")
        assert shop.execute("SELECT count(*) FROM commerce.payments").fetchone() == (2,)


def test_endpoints_from_before_get_their_creator(postgres: str) -> None:
    """From the record of changes; one that is not in it has no responsible account."""
    made, unknown, maker = uuid4(), uuid4(), uuid4()
    create, update = (f"backroom.webhooks.v1.WebhookService/{method}Endpoint" for method in ("Create", "Update"))
    with standing_at(postgres, "0011") as url, psycopg.connect(url, autocommit=True) as connection:
        for endpoint_id in (made, unknown):
            connection.execute(
                "INSERT INTO webhooks.endpoints VALUES (%s, 'https://example.com', '', '{}', 'enabled', '', NULL, 1,"
                " now(), now())",
                [endpoint_id],
            )
        for caller, action, endpoint_id in ((maker, create, made), (uuid4(), update, made), (uuid4(), update, unknown)):
            connection.execute(
                "INSERT INTO frame.audit_entries (create_time, caller_id, action, resource, address, call_id, result,"
                " id, key_id, mac) VALUES (now(), %s, %s, %s, '', '', 'OK', %s, '', '')",
                [caller, action, f"endpoint/{endpoint_id}", uuid4()],
            )
        migrations.upgrade(url)
        found = connection.execute("SELECT id, created_by, granted_by FROM webhooks.endpoints").fetchall()
        assert {*found} == {(made, maker, maker), (unknown, None, None)}


def test_received_events_from_before_are_in_the_inbox(postgres: str) -> None:
    """Each with its body and its times, with the same privileges; the downgrade leaves them as they were."""
    kept = "SELECT source, event_id, body, receive_time, process_time FROM {} ORDER BY event_id"
    role = f"serving_{uuid4().hex}"
    with standing_at(postgres, "0015") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO webhooks.received VALUES ('billing', 'a', '{}', now() - interval '1 day', now()),"
            " ('stripe', 'b', '{\"id\": 1}', now(), NULL)"
        )
        connection.execute(f"CREATE ROLE {role}".encode())
        connection.execute(f"GRANT SELECT, UPDATE ON webhooks.received TO {role}".encode())
        before = connection.execute(kept.format("webhooks.received").encode()).fetchall()
        migrations.upgrade(url)
        assert connection.execute(kept.format("frame.inbox").encode()).fetchall() == before
        granted = f"SELECT has_table_privilege('{role}', 'frame.inbox', 'SELECT, UPDATE')"
        assert connection.execute(granted.encode()).fetchone() == (True,)
        migrations.downgrade(url, "0015")
        assert connection.execute(kept.format("webhooks.received").encode()).fetchall() == before
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
