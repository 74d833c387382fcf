"""The usual stack books with the promises that Backroom's bookings have."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bench.measurements.booking_sides import stocked
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


def asking(resource_id: UUID, *, minutes: int = 60, **rest: object) -> dict[str, object]:
    start = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=2)
    return {
        "resource_id": str(resource_id),
        "start_time": start.isoformat(),
        "duration_minutes": minutes,
        "request_id": str(uuid4()),
        **rest,
    }


async def test_one_of_a_crowd_gets_the_time(peer: Usual) -> None:
    """Its event and its audit row are there once; a repetition gets the first answer, and other content none."""
    (resource_id,) = await stocked(peer.url, 1)
    requests = [asking(resource_id) for _ in range(20)]
    async with peer.client as client:
        answers = await asyncio.gather(*(client.post("/bookings", json=each) for each in requests))
        assert Counter(each.status_code for each in answers) == {201: 1, 409: 19}
        assert {told(each) for each in answers if each.status_code == 409} == {(409, "ALREADY_BOOKED")}
        won = next(place for place, each in enumerate(answers) if each.status_code == 201)
        again = await client.post("/bookings", json=requests[won])
        assert (again.status_code, again.json()) == (201, answers[won].json())
        other = await client.post("/bookings", json={**requests[won], "duration_minutes": 30})
        assert told(other) == (422, "REQUEST_ID_REUSED")
    for table in ("bookings", "events", "audit_entries", "booking_requests"):
        assert peer.rows(f"SELECT count(*) FROM {table}") == [(1,)]


async def test_what_the_resource_does_not_allow_is_refused(peer: Usual) -> None:
    """A time between its steps, past its opening hours or in the past, and a resource that is not there."""
    (resource_id,) = await stocked(peer.url, 1)
    past = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    async with peer.client as client:
        for request in (
            asking(resource_id, start_time=(past + timedelta(days=3, seconds=30)).isoformat()),
            asking(resource_id, minutes=16 * 60),
            asking(resource_id, start_time=past.isoformat()),
        ):
            assert told(await client.post("/bookings", json=request)) == (409, "NOT_BOOKABLE")
        assert told(await client.post("/bookings", json=asking(uuid4()))) == (404, "RESOURCE_NOT_FOUND")
