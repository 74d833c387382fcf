"""The flag at the end of the demo, against the real server: every figure is of its answers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from backroom.flags.v1 import flags_pb2
from backroom.flags.v1.flag_service_pb2 import GetFlagRequest, ListFlagVersionsRequest
from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest
from backroom_client import AsyncBackroom, Key
from replay.calling import NotShown
from replay.rollout import FLAG_KEY, FLAG_SET_ID, PEOPLE, RolledOut, roll_out
from storage.database import Database
from tests.fixtures.servers import Running, running
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow


@asynccontextmanager
async def signed_in(server: Running, role: str = "manager") -> AsyncIterator[tuple[AsyncBackroom, Key]]:
    """A client of a service account with this role, and its key."""
    admin = await server.sign_in("admin")
    account = accounts_pb2.ServiceAccount(name=f"demo-{role}", roles=[role])
    key = Key((await admin.access.CreateServiceAccount(CreateServiceAccountRequest(service_account=account))).secret)
    async with AsyncBackroom(server.address, key) as client:
        yield client, key


def kept_rows(database_url: str) -> Mapping[str, int]:
    """How many rows each table has, but for the counts of what was served, which are stored some seconds later."""
    return {name: count for name, count in row_counts(database_url).items() if not name.startswith("flags.usage_")}


async def test_nobody_loses_the_flag_as_it_grows_and_a_rollback_leaves_the_first(database: Database) -> None:
    """About a tenth have it, then about half with all of those, then the tenth again; its history has each change."""
    async with running(database) as server, signed_in(server) as (client, key):
        rolled_out = await roll_out(client, key)
        versions = ListFlagVersionsRequest(flag_set_id=FLAG_SET_ID, key=FLAG_KEY)
        history = [each.change for each in (await client.flags.ListFlagVersions(versions)).versions]

    assert rolled_out.people == len(PEOPLE) == 300
    assert 15 <= len(rolled_out.first) <= 45
    assert 120 <= len(rolled_out.grown) <= 180
    assert rolled_out.first < rolled_out.grown
    assert rolled_out.rolled_back == rolled_out.first
    assert rolled_out.complete
    assert history == [
        flags_pb2.FLAG_CHANGE_ROLLED_BACK,
        flags_pb2.FLAG_CHANGE_ROLLOUT,
        flags_pb2.FLAG_CHANGE_CREATED,
    ]


async def test_a_second_time_the_growth_is_tried_and_nothing_is_changed(database: Database, database_url: str) -> None:
    """With the same figures, and not one row more."""
    async with running(database) as server, signed_in(server) as (client, key):
        first = await roll_out(client, key)
        before = kept_rows(database_url)
        second = await roll_out(client, key)
        flag = (await client.flags.GetFlag(GetFlagRequest(flag_set_id=FLAG_SET_ID, key=FLAG_KEY))).flag

    assert second == RolledOut(first.people, first.first, first.grown, rolled_back=None)
    assert second.complete
    assert flag.version == 3
    assert kept_rows(database_url) == before


async def test_where_the_account_may_not_change_flags_it_is_said(database: Database) -> None:
    """The permission that is missing; the replay before it counts all the same."""
    async with running(database) as server, signed_in(server, "service") as (client, key):
        with pytest.raises(NotShown, match=r"PERMISSION_MISSING: .*flags\.read"):
            await roll_out(client, key)


async def test_where_changes_need_approval_the_proposal_is_named_once(database: Database, database_url: str) -> None:
    """A second time it is the same proposal."""
    async with running(database, flags_approval=True) as server, signed_in(server) as (client, key):
        with pytest.raises(NotShown, match="need approval on this server") as first:
            await roll_out(client, key)
        with pytest.raises(NotShown) as second:
            await roll_out(client, key)

    assert str(second.value) == str(first.value)
    assert row_counts(database_url)["flags.proposals"] == 1
