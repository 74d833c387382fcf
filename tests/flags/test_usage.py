"""How often flags were served, as callers ask for it: counted by real servers, and purged by the job."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flags_pb2
from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from server.frame.module import now
from storage.database import Database
from storage.flags.records import FlagState, Served, UsagePeriod
from storage.flags.store import FLAGS
from tests.fixtures.http import plain_client
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.keeping import add
from tests.flags.ofrep import ALL
from tests.flags.values import flag
from tests.flags.wire import Flagd, serving_flags

DAY = timedelta(days=1)
MINUTES, DAYS = pb.USAGE_PERIOD_MINUTE, pb.USAGE_PERIOD_DAY
PRO = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}


async def usage(api: Api, key: str, period: Any, **times: datetime) -> list[flags_pb2.VariantCount]:
    request = pb.GetFlagUsageRequest(key=key, period=period, **times)  # type: ignore[arg-type]
    return list((await api.flags.GetFlagUsage(request)).counts)


def by_variant(counts: list[flags_pb2.VariantCount]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in counts:  # a minute, or a day, may have ended in between
        found[each.variant] += each.count
    return dict(found)


async def test_what_two_servers_served_on_every_wire_is_counted_together(database_url: str, database: Database) -> None:
    """By variant, minute and day, within a few seconds of being served, while both go on."""
    await add(database, flag("f", targeting=PRO), flag("off", state=FlagState.DISABLED))
    began = now()
    async with AsyncExitStack() as opened:
        servers: list[tuple[Running, httpx.AsyncClient]] = []
        for _ in "ab":
            own = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=3, pooler=POOLER)
            opened.push_async_callback(own.close)
            server = await opened.enter_async_context(serving_flags(own, ofrep_calls_per_second=0.0))
            client = await opened.enter_async_context(plain_client(server.http, timeout=30))
            servers.append((server, client))
        for server, client in servers:
            flagd = Flagd(server.channel)
            for _ in range(3):
                await flagd.boolean("f", plan="pro")
            await flagd.boolean("f")
            await flagd.v1.ResolveAll(v1.ResolveAllRequest())
            await client.post(f"{ALL}/f", json={"context": {"plan": "pro"}})
            bulk = await client.post(ALL, json={})
            known = {"if-none-match": bulk.headers["etag"]}
            assert (await client.post(ALL, json={}, headers=known)).status_code == 304
            await refusal(flagd.boolean("none"))
        keeper = await servers[0][0].sign_in("manager")
        async with asyncio.timeout(60):
            while True:
                if by_variant(await usage(keeper, "f", MINUTES)) == {"on": 8, "off": 6}:
                    break
                await asyncio.sleep(0.2)
        for period, length in ((MINUTES, 60), (DAYS, 86_400)):
            counts = await usage(keeper, "f", period)
            assert by_variant(counts) == {"on": 8, "off": 6}
            for each in counts:
                start = each.start_time.ToDatetime(UTC)
                assert int(start.timestamp()) % length == 0
                assert began - timedelta(seconds=length) <= start <= now()
            assert by_variant(await usage(keeper, "off", period)) == {"": 4}


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


async def served(database: Database, period: UsagePeriod, *counts: Served) -> None:
    async with database.store(FLAGS).transaction() as tx:
        await tx.usage.count(period, counts)


async def test_usage_is_asked_for_by_a_span_of_time(server: Running, keeper: Api) -> None:
    """Its end excluded; the last day where none is named; at most 10,000 periods."""
    await add(server.database, flag("f"))
    minute = now().replace(second=0, microsecond=0)
    at = [minute - timedelta(minutes=each) for each in (3, 2, 1)]
    old = Served("", "f", "on", minute - 2 * DAY, 9)
    await served(server.database, UsagePeriod.MINUTE, old, *(Served("", "f", "on", each, 1) for each in at))
    assert [each.start_time.ToDatetime(UTC) for each in await usage(keeper, "f", MINUTES)] == at
    within = await usage(keeper, "f", MINUTES, start_time=at[0], end_time=at[2])
    assert [each.start_time.ToDatetime(UTC) for each in within] == at[:2]
    assert by_variant(await usage(keeper, "f", MINUTES, start_time=minute - 3 * DAY)) == {"on": 12}
    for start, end in ((at[2], at[0]), (minute - 7 * DAY, minute)):
        refused = await refusal(usage(keeper, "f", MINUTES, start_time=start, end_time=end))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["start_time"])


async def test_flags_that_may_be_removed_are_listed_with_the_reason(server: Running, keeper: Api) -> None:
    """Not served for days, settled for weeks, or expired; by the days that the caller names, and in pages."""
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    old: dict[str, Any] = {"create_time": now() - 90 * DAY, "update_time": now() - 60 * DAY}
    await add(
        server.database,
        flag("busy", **old),
        flag("expired", **old, expire_time=now() - DAY),
        flag("gone", **old, archived=True),
        flag("new", create_time=now(), update_time=now()),
        flag("settled", **old),
        flag("unserved", **old),
    )
    both = [Served("", key, variant, today - DAY, 1) for key in ("busy", "expired") for variant in ("on", "off")]
    alike = [Served("", "settled", "on", today - each * DAY, 1) for each in range(5)]
    before = Served("", "settled", "off", today - 40 * DAY, 1)
    late = [Served("", "unserved", each, today - 20 * DAY, 1) for each in ("on", "off")]
    await served(server.database, UsagePeriod.DAY, *both, *alike, before, *late)

    async def listed(**request: Any) -> dict[str, tuple[Any, str]]:
        answer = await keeper.flags.ListStaleFlags(pb.ListStaleFlagsRequest(**request))
        return {each.flag.key: (each.reason, each.variant) for each in answer.flags}

    expired, unserved = (flags_pb2.STALE_REASON_EXPIRED, ""), (flags_pb2.STALE_REASON_NOT_SERVED, "")
    settled = (flags_pb2.STALE_REASON_SETTLED, "on")
    assert await listed() == {"expired": expired, "settled": settled, "unserved": unserved}
    assert await listed(unserved_days=30) == {"expired": expired, "settled": settled}
    assert await listed(settled_days=50) == {"expired": expired, "unserved": unserved}
    first = await keeper.flags.ListStaleFlags(pb.ListStaleFlagsRequest(page_size=2))
    rest = await keeper.flags.ListStaleFlags(pb.ListStaleFlagsRequest(page_size=2, page_token=first.next_page_token))
    keys = [each.flag.key for page in (first, rest) for each in page.flags]
    assert keys == ["expired", "settled", "unserved"]


async def test_the_job_forgets_old_counts(server: Running) -> None:
    """Those of minutes after a week, those of days after 400 days, and nothing before."""
    await add(server.database, flag("f"))
    minute = now().replace(second=0, microsecond=0)
    today = minute.replace(hour=0, minute=0)
    week, year = timedelta(days=7), timedelta(days=400)
    kept, old = timedelta(minutes=5), -timedelta(minutes=5)
    await served(
        server.database,
        UsagePeriod.MINUTE,
        *(Served("", "f", "on", minute - week + each, 1) for each in (kept, old, -year)),
    )
    await served(
        server.database,
        UsagePeriod.DAY,
        *(Served("", "f", "on", today - year + each, 1) for each in (DAY, -DAY)),
    )
    (job,) = [task for task in server.application.tasks if task.name == "flags.purge"]
    assert job.every
    await job.run()
    async with server.database.store(FLAGS).reading() as reading:
        for period, left in ((UsagePeriod.MINUTE, minute - week + kept), (UsagePeriod.DAY, today - year + DAY)):
            found = await reading.usage.of_flag(period, "", "f", minute - 3 * year, minute)
            assert [each.start_time for each in found] == [left]
