"""Commands' JSON output: one document, with stable fields, and the same exit codes as the text."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.database import Database
from storage.frame.records import NOBODY
from tests.fixtures.keys import MASTER_KEY
from tests.identity.records import auditing_on, entry, execute, recorded
from tests.process.commands import Finished, backroom_here

Run = Callable[..., Awaitable[Finished]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], database_url: str) -> Run:
    """Runs a command on the test's database, without a server."""

    async def ran(*words: str, as_json: bool = True, **settings: str) -> Finished:
        ours = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY}
        nobody = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1"}
        option = ["--json"] if as_json else []
        return await asyncio.to_thread(backroom_here, capsys, *words, *option, **{**ours, **nobody, **settings})

    return ran


def document(finished: Finished) -> dict[str, Any]:
    """The output, which is one document and nothing else."""
    assert finished.err == ""
    found: dict[str, Any] = json.loads(finished.out)
    return found


async def test_verify_reports_each_law(run: Run, database: Database) -> None:
    """And its violations; the exit code is 1 if one is broken."""
    await recorded(database, *(entry(number) for number in range(3)))
    await auditing_on(database).seal()
    well = await run("verify")
    found = document(well)
    assert (well.code, found["holds"], found["unchecked"]) == (0, True, [])
    assert all(law.keys() == {"id", "law", "checked", "broken", "broken_by"} for law in found["laws"])
    await execute(database, "UPDATE frame.audit_entries SET address = '' WHERE resource = 'thing/1'")
    ill = await run("verify")
    found = document(ill)
    assert (ill.code, found["holds"]) == (1, False)
    (broken,) = (law for law in found["laws"] if law["broken"])
    assert (broken["id"], broken["broken"], len(broken["broken_by"])) == ("I12", 1, 1)


async def test_audit_list_prints_the_events_latest_last(run: Run, database: Database) -> None:
    """Missing values are null; so is the place until the event is sealed."""
    await recorded(database, entry(0), entry(1, caller_id=NOBODY, result="DENIED"))
    first, last = document(await run("audit", "list"))["events"]
    assert first.keys() == {
        *("sequence", "create_time", "caller_id", "action", "resource", "result", "address", "call_id", "position")
    }
    assert (first["resource"], first["position"]) == ("thing/0", None)
    assert (last["sequence"], last["caller_id"], last["result"]) == (first["sequence"] + 1, None, "DENIED")
    assert last["create_time"].endswith("Z")


async def test_keys_list_prints_each_key_and_its_times(run: Run) -> None:
    """One to sign and one to derive, without key material."""
    assert document(await run("keys", "list")) == {"keys": []}
    await run("keys", "rotate", as_json=False)
    keys = document(await run("keys", "list"))["keys"]
    assert {key["use"] for key in keys} == {"sign", "derive"}
    for key in keys:
        assert key.keys() == {"id", "use", "state", "activate_time", "end_time", "resealing_due"}
        assert key["activate_time"].endswith("Z")


async def test_doctor_prints_each_finding_and_exits_with_1_if_one_is_broken(run: Run) -> None:
    """With its state, which is fine, notice or broken."""
    found = document(await run("doctor"))["findings"]
    assert all(each.keys() == {"name", "found", "state", "fix"} for each in found)
    by_name = {each["name"]: each for each in found}
    assert by_name["BACKROOM_ENVIRONMENT"] == {
        "name": "BACKROOM_ENVIRONMENT",
        "found": "development",
        "state": "fine",
        "fix": "",
    }
    refused = await run("doctor", BACKROOM_ENVIRONMENT="production", BACKROOM_GRPC_ADDRESS="0.0.0.0:1")
    assert refused.code == 1
    assert "broken" in {each["state"] for each in document(refused)["findings"]}
