"""The usual stack keeps tasks with the promises that Backroom has."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from bench.measurements.task_sides import kept_project
from bench.peers.serving import usual
from bench.peers.usual.issuing import TokenIssuer
from storage.url import sibling
from tests.bench.test_peers import Usual, made_database, told

pytestmark = pytest.mark.proof


@pytest.fixture
def peer(postgres: str) -> Iterator[Usual]:
    issuer = TokenIssuer()
    with made_database(postgres) as name:
        url = sibling(postgres, name)
        with usual(url, "orm", issuer.public_key) as served:
            yield Usual(served, url, issuer)


async def test_an_update_is_made_once_and_told_once(peer: Usual) -> None:
    """A repetition gets the first answer; another's task is not found, and an old etag is refused."""
    async with peer.client as client:
        account_id = peer.account_id
        project_id, task_id = await kept_project(peer.url, account_id), uuid4()
        with psycopg.connect(peer.url) as connection:
            connection.execute(
                "INSERT INTO tasks (id, project_id, number, title, description, state, priority, labels,"
                " custom_values, rank, version, create_time, update_time)"
                " VALUES (%s, %s, 1, 'Task', '', 'open', 2, '{}', '[]', 'V', 1, now(), now())",
                [task_id, project_id],
            )
        before = (await client.get(f"/tasks/{task_id}")).json()
        asked = {"request_id": str(uuid4()), "state": "done", "etag": before["etag"]}
        first = await client.patch(f"/tasks/{task_id}", json=asked)
        assert (first.status_code, first.json()["state"]) == (200, "done")
        assert (await client.patch(f"/tasks/{task_id}", json=asked)).json() == first.json()
        stale = await client.patch(f"/tasks/{task_id}", json={"state": "open", "etag": before["etag"]})
        assert told(stale) == (412, "ETAG_MISMATCH")
        page = (await client.get("/tasks", params={"project_id": str(project_id)})).json()
        assert page == {"tasks": [first.json()], "next_page_token": ""}
        assert told(await client.get(f"/tasks/{uuid4()}")) == (404, "TASK_NOT_FOUND")
    for table in ("activities", "events", "audit_entries", "task_requests"):
        assert peer.rows(f"SELECT count(*) FROM {table}") == [(1,)]
