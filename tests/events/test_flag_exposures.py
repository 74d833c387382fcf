"""Who was served which variant of a flag, as events."""

import json
from typing import Any

from server.flags.rules.evaluating import Evaluation, Reason
from server.flags.service.exposures import Exposures, exposed_events
from storage.database import Database
from storage.flags.records import FlagType
from storage.store import FRAME
from storage.webhooks.store import WEBHOOKS
from tests.events.sending import stored
from tests.fixtures.servers import Api, Running
from tests.fixtures.trading import eventually
from tests.flags.calling import created
from tests.flags.ofrep import ALL, HERE, serving

DAY = 86_400


def served(variant: str | None = "on") -> Evaluation:
    return Evaluation("checkout", FlagType.BOOLEAN, Reason.STATIC, variant, True, {})


def test_a_person_is_told_once_a_day_for_each_variant() -> None:
    """Nobody without a name, and nothing where no variant is served."""
    exposures = Exposures()
    noted: list[tuple[object, str | None, int]] = [
        ("anna", "on", 0),
        ("anna", "on", DAY - 1),
        ("anna", "off", 5),
        ("ben", "on", 6),
        ("", "on", 7),
        (None, "on", 8),
        (17, "on", 9),
        ("anna", None, 10),
        ("anna", "on", DAY),
    ]
    for person, variant, seconds in noted:
        exposures.note("set", served(variant), person, seconds)
    taken = exposures.take()
    assert [(key[2], key[3], seconds) for key, seconds in taken] == [
        ("on", "anna", 0),
        ("off", "anna", 5),
        ("on", "ben", 6),
        ("on", "anna", DAY),
    ]
    assert exposures.take() == []
    exposures.put_back(taken)
    assert exposures.take() == [*taken]
    subjects = [event.subject_id for event in exposed_events(taken)]
    assert len(set(subjects)) == 4
    (again,) = exposed_events([(taken[0][0], DAY - 1)])
    assert again.subject_id == subjects[0]


def test_what_one_process_holds_is_bounded() -> None:
    """What waits, and what it remembers: then some are told again, which is known by the subject."""
    exposures = Exposures(most_known=3, most_waiting=5)
    for _ in range(2):
        for person in range(4):
            exposures.note("set", served(), str(person), 0)
    assert [key[3] for key, _ in exposures.take()] == ["0", "1", "2", "3", "0"]


async def test_who_is_served_a_flag_is_an_event_once(database: Database) -> None:
    """However often, once the counts are stored; endpoints of webhooks are told nothing of it."""
    given: dict[str, Any] = {"flags_exposures": True, "events_from_modules": ("flags",), "flags_open_to": HERE}
    async with serving(database, **given) as (server, client):
        admin = await server.sign_in("admin")
        await created(admin, "checkout")
        await eventually(lambda: evaluated(client, "anna"), bool)
        for person in ("anna", "ben", ""):
            assert await evaluated(client, person)
        found = await eventually(lambda: exposures_of(server, admin), lambda events: len(events) >= 2)
        assert {event.subject for event in found} == {"anna", "ben"}
        assert {json.loads(event.data)["flag_key"] for event in found} == {"checkout"}
        assert {(event.source, event.type) for event in found} == {("/backroom/flags", "flag.exposed")}
        assert len(found) == 2
        assert await told_to_endpoints(database) == {"flag.changed"}


async def evaluated(client: Any, person: str) -> bool:
    answer = await client.post(f"{ALL}/checkout", json={"context": {"targetingKey": person}})
    return bool(answer.status_code == 200)


async def exposures_of(server: Running, admin: Api) -> list[Any]:
    (task,) = (each for each in server.application.tasks if each.name == "events.collect")
    await task.run()
    return [*(await stored(admin, types=["flag.exposed"])).values()]


async def told_to_endpoints(database: Database) -> set[str]:
    """The types of events that the relay reads from the log."""
    async with database.store(FRAME).reading() as whole:
        end = (await whole.event_log.find_end()).snapshot
        assert await whole.event_log.read("3:3:", end, ["_flag.exposed"])
    async with database.store(WEBHOOKS).transaction() as tx:
        return {event.type for event in await tx.relay.read("3:3:", end)}
