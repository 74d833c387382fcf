"""A kept answer can be read by this version, by earlier ones and by later ones."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from backroom.commerce.v1 import catalog_service_pb2, inventory_service_pb2, order_service_pb2, stock_pb2
from backroom.identity.v1 import access_service_pb2
from server.frame.answers import AnswerKind
from server.modules import MODULES
from tests.commerce.goods import draft, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.frame.kept_answers import declared, example_of, fields_of, released, troubles, with_what_is_new
from tests.identity.people import execute, kept


def test_every_released_kind_and_version_can_be_read() -> None:
    """And has a sample; the failure says what to do."""
    assert not troubles(declared(), released())


def test_every_kind_belongs_to_its_module() -> None:
    """The first part of its name is the module's."""
    names = [kind.name for kind in declared()]
    assert len(set(names)) == len(names) > 15
    assert {name.partition(".")[0] for name in names} == {"frame", *MODULES}


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Room:
    id: UUID
    size: Size | None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomWithNote(Room):
    note: str = ""


@dataclass(frozen=True, slots=True)
class RoomOfHouse:
    id: UUID
    size: Size | None
    house: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomWithoutSize:
    id: UUID
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomOfAnySize:
    id: UUID
    size: str | None
    names: tuple[str, ...] = ()


ROOM = AnswerKind("house.room", Room)
RELEASED = with_what_is_new([ROOM], {})


def test_a_sample_describes_the_fields_of_its_record() -> None:
    """And holds a value for each of them."""
    assert fields_of(Room) == {"id": "UUID", "size": "small/large | None", "names?": {"tuple of": ["str"]}}
    assert example_of(Room) == {"id": "0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11", "size": "small", "names": ["a text"]}
    assert not troubles([ROOM], RELEASED)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (AnswerKind("house.door", Room), "house.door/1 has no sample: run `python -m"),
        (AnswerKind("house.room", Room, version=2, upgrades={1: dict}), "house.room/2 has no sample: run `python -m"),
        (AnswerKind("house.room", RoomWithNote), "house.room/1 has new fields with defaults: run `python -m"),
        (AnswerKind("house.room", RoomOfHouse), "give a new field a default, or declare AnswerKind('house.room', …,"),
        (AnswerKind("house.room", RoomWithoutSize), "upgrades={1: <what makes the new JSON of the old>})"),
        (AnswerKind("house.room", RoomOfAnySize), "house.room/1 was released with other fields"),
        (AnswerKind("house.hall", Room), "house.room/1 was released, and its AnswerKind is gone"),
    ],
)
def test_an_incompatible_change_is_reported_with_its_fix(kind: AnswerKind[Any], said: str) -> None:
    """A kind or a version without a sample, other fields under the same version, and a removed kind."""
    assert any(said in each for each in troubles([kind], RELEASED))


def test_a_change_under_a_new_version_is_compatible() -> None:
    """So is a new field with a default, once the samples contain it; released samples remain."""
    grown = AnswerKind("house.room", RoomWithNote)
    assert not troubles([grown], with_what_is_new([grown], RELEASED))
    housed = AnswerKind("house.room", RoomOfHouse, version=2, upgrades={1: lambda room: {**room, "house": "ours"}})
    samples = with_what_is_new([housed], RELEASED)
    assert set(samples) == {"house.room/1", "house.room/2"}
    assert not troubles([housed], samples)


def test_an_upgrade_that_leaves_a_field_out_is_reported() -> None:
    """The older version's sample cannot be decoded."""
    housed = AnswerKind("house.room", RoomOfHouse, version=2, upgrades={1: dict})
    (said,) = troubles([housed], with_what_is_new([housed], RELEASED))
    assert said.startswith("house.room/1 is not decoded")
    assert "house" in said


def test_a_released_version_is_never_overwritten() -> None:
    """With other fields under the same version, writing new samples still reports the problem."""
    changed = AnswerKind("house.room", RoomOfHouse)
    assert with_what_is_new([changed], RELEASED) == RELEASED


Call = Callable[[], Awaitable[Any]]


@pytest.fixture
async def calls(service: Api, admin: Api, customer: Api) -> Mapping[str, Call]:
    """A single change, one whose refusals are recorded, one of a batch, and one whose answer is in another table."""
    await stocked(service, "A", 10)
    ids = [str(uuid4()) for _ in range(4)]
    create = catalog_service_pb2.CreateProductRequest(request_id=ids[0], product=draft("B"))
    grant = access_service_pb2.GrantRoleRequest(request_id=ids[1], account_id=str(customer.account_id), role="staff")
    adjust = inventory_service_pb2.AdjustStockRequest(
        request_id=ids[2], sku="A", delta=1, reason=stock_pb2.STOCK_REASON_RECEIVED
    )
    place = order_service_pb2.PlaceOrderRequest(
        request_id=ids[3], lines=[order_service_pb2.LineItem(sku="A", quantity=1)]
    )
    return {
        "create": lambda: service.catalog.CreateProduct(create),
        "grant": lambda: admin.access.GrantRole(grant),
        "adjust": lambda: service.inventory.AdjustStock(adjust),
        "place": lambda: customer.orders.PlaceOrder(place),
    }


CALLS = ["create", "grant", "adjust", "place"]


@pytest.mark.parametrize("name", CALLS)
async def test_what_an_earlier_version_answered_is_repeated(
    server: Running, calls: Mapping[str, Call], name: str
) -> None:
    """It stored neither kind nor version, and an order's id without JSON's quotes."""
    first = await calls[name]()
    strip = "UPDATE frame.request_ids SET answer = trim('\"' FROM substring(answer FROM '^[a-z_.]+/1 (.*)$'))"
    await execute(server.database, strip + " WHERE answer LIKE '%/1 %'")
    assert "/1 " not in await kept(server.database, "frame.request_ids")
    assert await calls[name]() == first


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_from_a_newer_version_is_refused_and_the_change_is_not_repeated(
    server: Running, calls: Mapping[str, Call], name: str
) -> None:
    """UNAVAILABLE, so that clients retry until a server of that version answers; no refusal is recorded."""
    await calls[name]()
    await execute(server.database, "UPDATE frame.request_ids SET answer = replace(answer, '/1 ', '/2 ')")
    before = await kept(server.database, "frame.audit_entries")
    refused = await refusal(calls[name]())
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ANSWER_FROM_NEWER_VERSION")
    assert await kept(server.database, "frame.audit_entries") == before
