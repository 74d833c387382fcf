"""What is scheduled goes live once, all of it or nothing, whatever becomes of the workers and of their clocks."""

import asyncio
import os
import random
import signal
from datetime import UTC, datetime

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1.articles_pb2 import Article
from server.frame.jobs import Worker
from server.frame.wire import timestamp
from storage.database import Database
from tests.articles.calling import ahead, changed, fresh, listed, made, published, schedule
from tests.fixtures.applications import QUIET
from tests.fixtures.forking import forked
from tests.fixtures.servers import Api, Running, quick_passwords, running
from tests.fixtures.trading import eventually
from tests.invariants import assert_whole

WITHIN_SECONDS = 5.0
"""After its time, an article is read by then."""


async def scheduled(author: Api, **later: float) -> list[str]:
    """Three articles that are to be published together; each has a later draft."""
    ids = [(await made(author, title=f"Approved {each}")).article_id for each in range(3)]
    request = pb.ScheduleArticlesRequest(request_id=fresh(), publish_time=timestamp(ahead(**later)))
    request.articles.extend(pb.ScheduledArticle(article_id=each, revision=1) for each in ids)
    await author.articles.ScheduleArticles(request)
    for each in ids:
        await changed(author, each, title="Not approved")
    return ids


async def seen(server: Running, author: Api, database_url: str, ids: list[str]) -> list[Article]:
    """What readers see once all are live; each was published once."""
    live = await eventually(lambda: listed(author), lambda found: len(found) >= len(ids))
    assert sorted(each.article_id for each in live) == sorted(ids)
    assert all(each.title.startswith("Approved") and each.revision == 1 for each in live)
    with psycopg.connect(database_url) as connection:
        told = connection.execute("SELECT subject_id::text FROM frame.events WHERE type = 'article.published'")
        assert sorted(each for (each,) in told) == sorted(ids)
        audited = connection.execute(
            "SELECT resource FROM frame.audit_entries WHERE action = 'articles.publish_due' AND result = 'OK'"
        )
        assert sorted(each for (each,) in audited) == sorted(f"article/{each}" for each in ids)
    await assert_whole(server.database)
    return live


@pytest.mark.parametrize("point", ["before", "within", "after"])
async def test_what_a_killed_worker_left_is_published_by_another(
    database: Database, database_url: str, point: str
) -> None:
    """All at one time, since nothing of what it had begun was seen."""
    async with running(database, passwords=quick_passwords()) as server:
        author = await server.sign_in("staff")
        ids = await scheduled(author, seconds=-1)
        process = await forked("tests.faults.dying_publisher", database_url, point, environment=os.environ)
        try:
            assert await asyncio.wait_for(process.wait(), 300) == -signal.SIGKILL
        finally:
            process.kill()
        assert len(await listed(author)) == (len(ids) if point == "after" else 0)
        tasks = server.application.tasks
        worker = Worker(
            database_url, tasks, QUIET, CollectorRegistry(), heartbeat_seconds=0.05, stalled_after_seconds=0.1
        )
        worker.start()
        live = await seen(server, author, database_url, ids)
        await worker.stop()
        assert len({each.publish_time.ToNanoseconds() for each in live}) == 1


async def test_two_workers_publish_what_comes_due_once(database: Database, database_url: str) -> None:
    """Also what was due while there was no worker, and what is due since the clock of its row was moved."""
    async with running(database, passwords=quick_passwords()) as server:
        author = await server.sign_in("staff")
        early, moved = await scheduled(author, hours=-1), await scheduled(author, hours=1)
        workers = [Worker(database_url, server.application.tasks, QUIET, CollectorRegistry()) for _ in range(2)]
        for worker in workers:
            worker.start()
        await eventually(lambda: listed(author), lambda found: len(found) == len(early))
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE articles.articles SET schedule_time = now() - interval '1 hour' WHERE schedule_id IS NOT NULL"
            )
        await seen(server, author, database_url, early + moved)
        await published(author, title="Approved by hand")
        for worker in workers:
            await worker.stop()


@pytest.mark.proof
async def test_what_is_scheduled_is_read_within_seconds_of_its_time(database: Database, database_url: str) -> None:
    """60 articles over half a minute, and two workers; none is read before its time."""
    async with running(database, jobs_on=database_url, passwords=quick_passwords()) as server:
        author = await server.sign_in("staff")
        due: dict[str, datetime] = {}
        for _ in range(60):
            article, moment = await made(author), ahead(seconds=random.uniform(10, 40))  # noqa: S311 - not a secret
            await schedule(author, article.article_id, at=moment)
            due[article.article_id] = moment
        worker = Worker(database_url, server.application.tasks, QUIET, CollectorRegistry())
        worker.start()
        late: dict[str, float] = {}
        end = ahead(seconds=100)
        while late.keys() != due.keys():
            read = {each.article_id for each in await listed(author)}
            now = datetime.now(UTC)
            assert now < end
            assert read <= {each for each, moment in due.items() if moment < now}
            late |= {each: (now - due[each]).total_seconds() for each in read - late.keys()}
            await asyncio.sleep(0.05)
        await worker.stop()
    assert max(late.values()) < WITHIN_SECONDS
    await assert_whole(database)
