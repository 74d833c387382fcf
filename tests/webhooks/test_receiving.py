"""Which requests the webhook receiver accepts, over real connections."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping

import httpx
import pytest

from server.webhooks.service import Inbox
from storage.database import Database
from storage.frame.records import ReceivedEvent
from storage.store import FRAME
from storage.webhooks.store import WEBHOOKS
from tests.contract.scrape import scraped
from tests.faults.load import until
from tests.fixtures.processes import serving
from tests.fixtures.servers import Running
from tests.storage.waiting import waits
from tests.webhooks.http import Answered, Post, sent
from tests.webhooks.kept import emptied, kept, published
from tests.webhooks.senders import NOW, SECONDS, SETTING, SOURCES, Headers, github, standard, stripe, stripe_event
from tests.webhooks.truth import TRUTH

COPIES = 16
TEXTS = {
    204: b"",
    400: b"the request is not signed as it should be",
    404: b"there is no such source",
    405: b"only POST is answered",
    413: b"the body is too large",
}


async def send(server: Running, post: Post) -> Answered:
    return await sent(server.server.http_port, post)


def logged(server: Running) -> list[dict[str, object]]:
    return [line for line in server.log if line["event"] == "webhook"]


@pytest.mark.parametrize("table", TRUTH)
async def test_only_correctly_signed_requests_are_accepted(receiver: Running, database: Database, table: str) -> None:
    """A response of 204 has left one row and one job behind, and any other has left nothing."""
    found, expected = {}, {}
    for name, (status, post) in TRUTH[table].items():
        await emptied(database)
        answered = await send(receiver, post)
        found[name] = (answered.status, *(await kept(database)).counts)
        expected[name] = (status, 1, 1) if status == 204 else (status, 0, 0)
    assert found == expected


async def test_no_response_and_no_log_line_reveals_the_request(receiver: Running) -> None:
    """A response is a short fixed text, and each request has one line: its source, outcome and duration."""
    for status, post in TRUTH["door"].values():
        receiver.log.clear()
        answered = await send(receiver, post)
        assert answered.body == (b"" if post.method == "HEAD" else TEXTS[status])
        await until(lambda: bool(receiver.log))
        (line,) = receiver.log
        assert line.keys() == {"level", "event", "source", "outcome", "duration_ms"}
        assert (line["level"], line["event"]) == ("info", "webhook")
        assert line["source"] == (post.source if status != 404 else "unknown")


async def test_outcomes_are_counted_by_source(receiver: Running) -> None:
    """Requests for unknown sources cannot create labels."""
    before = await scraped(receiver)
    wrong: Headers = [("webhook-id", "msg_1")]
    for post in (
        *(Post("billing", standard(b"{}")) for _ in range(3)),
        Post("billing", wrong),
        Post("github", github(b"{}")),
        Post("nobody", []),
        Post("nothing", []),
    ):
        await send(receiver, post)
    await until(lambda: len(logged(receiver)) == 7)
    after = await scraped(receiver)
    counted = {
        (each.labels["source"], each.labels["outcome"]): each.value
        for each in after.samples
        if each.name == "backroom_webhooks_received_total"
    }
    assert before.sum("backroom_webhooks_received_total") == 0
    assert counted == {
        ("billing", "new"): 1,
        ("billing", "repeated"): 2,
        ("billing", "invalid"): 1,
        ("github", "new"): 1,
        ("unknown", "unknown_source"): 2,
    }


async def test_an_event_is_stored_unchanged_and_left_to_its_job(receiver: Running, database: Database) -> None:
    """Commerce handles payment providers' events; others are republished; a job carries only ids."""
    told: Mapping[str, Callable[[bytes], Headers]] = {
        "billing": standard,
        "sandbox": standard,
        "stripe": stripe,
        "github": github,
    }
    bodies = {source: stripe_event(f"evt_{source}") + b" \n" for source in told}
    for source, sign in told.items():
        assert (await send(receiver, Post(source, sign(bodies[source]), bodies[source]))).status == 204
    ids = {"billing": "msg_1", "sandbox": "msg_1", "stripe": "evt_stripe", "github": "72d3162e"}
    found = await kept(database)
    assert {row["source"]: (row["event_id"], row["body"], row["process_time"]) for row in found.received} == {
        source: (ids[source], bodies[source], None) for source in told
    }
    payments, republish = "commerce.take_payment_event", "webhooks.republish"
    tasks = {"billing": republish, "sandbox": payments, "stripe": payments, "github": republish}
    assert found.jobs == [(tasks[source], {"source": source, "event_id": ids[source]}) for source in told]


async def test_only_the_first_of_several_copies_counts(receiver: Running, database: Database) -> None:
    """A later one with a new signature, even with another body, gets 204 and has no effect."""
    await send(receiver, Post("billing", standard(b"{}")))
    first = await kept(database)
    for body in (b"{}", b"[]"):
        again = Post("billing", standard(body, at=SECONDS + 60), body)
        assert (await send(receiver, again)).status == 204
    assert await kept(database) == first
    assert first.counts == (1, 1)


async def test_concurrent_copies_are_stored_once(receiver: Running, database: Database) -> None:
    """All of them get 204, whether they meet in one batch or not, and other events are accepted."""
    copies = [Post("billing", standard(b"{}")) for _ in range(COPIES)]
    others = [Post("billing", standard(b"{}", event_id=f"other_{number}")) for number in range(COPIES)]
    mixed = [post for pair in zip(copies, others, strict=True) for post in pair]
    answered = await asyncio.gather(*(send(receiver, post) for post in mixed))
    assert {each.status for each in answered} == {204}
    await until(lambda: len(logged(receiver)) == 2 * COPIES)
    outcomes = Counter(line["outcome"] for line in logged(receiver))
    assert outcomes == {"new": 1 + COPIES, "repeated": COPIES - 1}
    assert (await kept(database)).counts == (1 + COPIES, 1 + COPIES)


async def test_copies_in_one_batch_are_stored_once(database: Database) -> None:
    """The first of them is new; the others of the batch are not delayed."""
    batch = [ReceivedEvent("billing", event_id, event_id.encode(), NOW) for event_id in "abacba"]
    inbox = Inbox(database.store(WEBHOOKS), SOURCES, {}, lambda: NOW)
    assert await inbox.receive(batch) == [True, True, False, True, False, False]
    assert await inbox.receive(batch) == [False] * 6
    assert [args["event_id"] for _, args in (await kept(database)).jobs] == ["a", "b", "c"]


@pytest.mark.slow
async def test_copies_at_two_servers_have_one_effect(database: Database, database_url: str) -> None:
    """Two processes on one database, on the machine's clock, with their workers."""
    async with (
        serving(database_url, BACKROOM_WEBHOOK_SOURCES=SETTING, BACKROOM_MODULES="webhooks") as one,
        serving(database_url, anew=True, BACKROOM_WEBHOOK_SOURCES=SETTING, BACKROOM_MODULES="webhooks") as two,
    ):
        post = Post("billing", standard(b"{}", at=int(time.time())))
        ports = [one.http_port, two.http_port] * (COPIES // 2)
        assert {each.status for each in await asyncio.gather(*(sent(port, post) for port in ports))} == {204}
        async with asyncio.timeout(60):
            while (await kept(database)).jobs:  # noqa: ASYNC110 - another process does them
                await asyncio.sleep(0.01)
    assert (await kept(database)).counts == (1, 0)
    assert [each["type"] for each in await published(database)] == ["received.billing"]


async def test_a_copy_is_answered_once_the_first_has_committed(receiver: Running, database: Database) -> None:
    """While another server's transaction is under way there is no response; if it fails, the copy is the first."""
    async with database.store(FRAME).transaction() as tx:
        await tx.inbox.add([ReceivedEvent("billing", "msg_1", b"{}", NOW)])
        copy = await waits(database, send(receiver, Post("billing", standard(b"{}"))))
        await tx._connection.rollback()
        await tx._connection.begin()
    assert (await copy).status == 204
    assert (await kept(database)).counts == (1, 1)


async def test_a_request_that_ends_early_is_not_stored(receiver: Running, database: Database) -> None:
    """Its sender disconnected in the middle of the body."""
    whole = Post("billing", standard(b"{}"))
    _, writer = await asyncio.open_connection("127.0.0.1", receiver.server.http_port)
    writer.write(whole.raw()[:-1])
    await writer.drain()
    writer.close()
    await until(lambda: bool(logged(receiver)))
    assert [line["outcome"] for line in logged(receiver)] == ["cut_off"]
    assert (await kept(database)).counts == (0, 0)


async def test_a_stopping_server_says_when_to_retry(receiver: Running, database: Database) -> None:
    """Its batches are closed before its port is; an event in between is not lost, since its sender repeats it."""
    await receiver.application.finish()
    answered = await send(receiver, Post("billing", standard(b"{}")))
    assert (answered.status, answered.body, answered.headers["retry-after"]) == (503, b"try again", "2")
    assert (await kept(database)).counts == (0, 0)


async def test_a_connection_serves_one_webhook_after_the_other(receiver: Running, database: Database) -> None:
    """A refusal in between does not end it, if the body was read."""
    async with httpx.AsyncClient(base_url=receiver.http) as client:
        for body, status in ((b"1", 204), (b"2", 400), (b"3", 204)):
            signed = standard(body if status == 204 else b"", event_id=body.decode())
            assert (await client.post("/webhooks/billing", content=body, headers=signed)).status_code == status
    assert (await kept(database)).counts == (2, 2)
