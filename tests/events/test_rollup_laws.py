"""`backroom verify` finds planted damage in rollups, and nothing where events come, go and are late."""

import psycopg
import pytest

from tests.events.asking import measure, meter
from tests.events.calling import ago, broken_laws, event, outcomes
from tests.events.counting import rolling_of
from tests.fixtures.servers import Api, Running, SharedServer

DAMAGES = (
    ("a minute that counts one too many", "I37", "UPDATE events.rollups SET count = count + 1 WHERE level = 0"),
    ("a minute that is missing", "I37", "DELETE FROM events.rollups WHERE level = 0 AND series LIKE 'type:%'"),
    (
        "a minute of which nothing happened",
        "I37",
        """
        INSERT INTO events.rollups (series, level, bucket, groups, count)
        VALUES ('type:none', 0, date_trunc('minute', now()), '{}', 1)
        """,
    ),
    ("an hour that is missing", "I38", "DELETE FROM events.rollups WHERE level = 1"),
    ("a day of another sum", "I38", "UPDATE events.rollups SET total = total + 1 WHERE level = 2 AND total > 0"),
    ("a minute that was told and not counted", "I37", "DELETE FROM events.touched"),
)


@pytest.mark.parametrize(("what", "law", "statement"), DAMAGES, ids=[what for what, _, _ in DAMAGES])
async def test_damage_of_rollups_is_found_by_its_law(
    emptied_server: SharedServer, server: Running, what: str, law: str, statement: str
) -> None:
    """And nothing is found before it, with some events rolled up and some touched."""
    api: Api = await server.sign_in("admin")
    await meter(api, "totals", measure("order.paid", "SUM", "total"))
    paid = [event(type="order.paid", time=ago(hours=each), data='{"total": 2}') for each in range(5)]
    assert set(await outcomes(api, *paid)) == {"stored"}
    await rolling_of(server.database).roll_up()
    late = event(type="order.paid", time=ago(hours=3), data='{"total": 1}')
    assert await outcomes(api, late, event(type="order.placed")) == ["stored", "stored"]
    assert await broken_laws(server) == set(), what
    with psycopg.connect(emptied_server.url, autocommit=True) as connection:
        connection.execute(statement.encode())
    assert law in await broken_laws(server), what
