"""`backroom verify` finds planted damage of each kind in events."""

from collections.abc import Sequence

import psycopg
import pytest

from tests.events.calling import ago, broken_laws, event, outcomes
from tests.fixtures.servers import Api, Running, SharedServer

_COLUMNS = "receive_time, source, id, type, subject, data, attributes"
_OTHER = _COLUMNS.replace("id,", "id || 'x',")
DAMAGES: Sequence[tuple[str, str, str]] = (
    (
        "an event that is stored twice",
        "I34",
        f"INSERT INTO events.events SELECT time, sequence + 1000, {_COLUMNS} FROM events.events LIMIT 1",
    ),
    ("a key that was claimed and not stored", "I35", "UPDATE events.batches SET event_count = event_count - 1"),
    (
        "an event whose key is gone",
        "I35",
        "DELETE FROM events.keys WHERE key = (SELECT key FROM events.keys LIMIT 1)",
    ),
    (
        "two events of one number",
        "I36",
        f"INSERT INTO events.events SELECT time, sequence, {_OTHER} FROM events.events LIMIT 1",
    ),
    ("an event out of its batch's times", "I36", "UPDATE events.batches SET last_time = first_time - interval '1 s'"),
)


@pytest.mark.parametrize(("what", "law", "statement"), DAMAGES, ids=[what for what, _, _ in DAMAGES])
async def test_damage_is_found_by_its_law(
    emptied_server: SharedServer, server: Running, service: Api, what: str, law: str, statement: str
) -> None:
    """And nothing is found before it."""
    assert set(await outcomes(service, *(event(time=ago(hours=each)) for each in range(5)))) == {"stored"}
    assert await broken_laws(server) == set(), what
    with psycopg.connect(emptied_server.url, autocommit=True) as connection:
        connection.execute(statement.encode())
    assert law in await broken_laws(server), what
