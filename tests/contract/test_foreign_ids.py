"""Every method that takes an id responds to another account's id as to one that does not exist."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.frame.canonical import behaviors_of, is_output_only
from storage.database import Database
from tests.commerce.goods import stocked
from tests.contract.hostile import STOCKED, filled
from tests.contract.methods import METHODS, Method, message_sent
from tests.contract.rows import Take, all_rows
from tests.fixtures.applications import paying_by
from tests.fixtures.servers import Api, Refused, Running, refused, running
from tests.identity.people import granting

OWN: Mapping[Take, str] = {take: name for rows in all_rows().values() for take, name in rows.own.items()}
"""The ids that an account owns, and which of the owner's ids each is."""
EVERYONES = {take for rows in all_rows().values() for take in rows.everyones}
"""The ids that no account owns."""


def taking_ids() -> Iterator[tuple[Take, Method]]:
    for method in METHODS:
        for path in _paths(method.takes):
            # A Create or an Import gets the id of what it creates from the server.
            if method.name.startswith(("Create", "Import")) and path == _own_id(method):
                continue
            yield (f"{method.descriptor.containing_service.name}/{method.name}", path), method


def _paths(kind: Descriptor, depth: int = 3) -> Iterator[str]:
    for field in kind.fields:
        inside = field.message_type
        if is_output_only(field):
            continue
        if inside is not None and depth and inside.file.package != "google.protobuf":
            yield from (f"{field.name}.{inner}" for inner in _paths(inside, depth - 1))
        elif field.name.endswith(("_id", "_ids")) and field.name != "request_id":
            yield field.name


def _own_id(method: Method) -> str | None:
    """The path of the id of the resource in a request."""
    for field in method.takes.fields:
        for inner in field.message_type.fields if field.message_type else ():
            if field_behavior_pb2.IDENTIFIER in behaviors_of(inner):
                return f"{field.name}.{inner.name}"
    return None


def with_id(method: Method, path: str, given: str) -> Message:
    """The simplest request with this id, and with existing products if it holds lines."""
    message: Any = filled(method.takes)
    holder = message
    *outer, name = path.split(".")
    for each in outer:
        holder = getattr(holder, each)
        if not isinstance(holder, Message):  # a list, of which the simplest request has one if it must
            holder = holder[0] if holder else holder.add()
        holder.SetInParent()
    setattr(holder, name, given)
    if "lines" in holder.DESCRIPTOR.fields_by_name:
        holder.ClearField("lines")
        holder.lines.add(sku=STOCKED, quantity=1)
    return message  # type: ignore[no-any-return] # built from a descriptor


async def answer_to(api: Api, method: Method, message: Message, given: str) -> object:
    """The outcome of a call, without the id that was sent and the request's own id."""
    own = str(getattr(message, "request_id", "") or getattr(getattr(message, "order", None), "request_id", ""))
    try:
        answers = await message_sent(api, method, message)
    except grpc.aio.AioRpcError as error:
        return _without(refused(error), given)
    return [answer.replace(given.encode(), b"ID").replace(own.encode() or b"ID", b"ID") for answer in answers]


def _without(found: Refused, given: str) -> Refused:
    values: dict[str, Any] = {name: getattr(found, name) for name in found.__dataclass_fields__}
    values["message"] = found.message.replace(given, "ID")
    values["metadata"] = {name: value.replace(given, "ID") for name, value in found.metadata.items()}
    return Refused(**values)


@pytest.fixture
async def trading(database: Database) -> Any:
    """A server with payments, whose traders may call every method on their own orders."""
    async with running(database, **paying_by("http://127.0.0.1:1", "key")) as opened:
        boss = await opened.sign_in("admin")
        await stocked(boss, STOCKED, 1000)
        request = access_service_pb2.CreateRoleRequest()
        request.role.name = "owner"
        request.role.permissions.extend(sorted({each for rows in all_rows().values() for each in rows.permissions}))
        await boss.access.CreateRole(request)
        yield opened


async def person(server: Running) -> Api:
    return await server.sign_in("owner")


async def service(server: Running) -> Api:
    """A service account that signed in with its key."""
    boss = await server.sign_in("admin")
    creating = access_service_pb2.CreateServiceAccountRequest(
        service_account=accounts_pb2.ServiceAccount(name=f"till-{uuid4().hex}", roles=["owner"])
    )
    created = await boss.access.CreateServiceAccount(creating)
    exchanged = await server.anonymous.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=created.secret))
    answer = await Api(server.channel, exchanged.access_token).identity.GetMe(identity_service_pb2.GetMeRequest())
    return Api(server.channel, exchanged.access_token, answer.service_account.service_account_id)


async def owned_by(server: Running, api: Api) -> Mapping[str, str]:
    """The ids of everything that the owner has in every module."""
    return {name: given for rows in all_rows().values() for name, given in (await rows.owned(server, api)).items()}


async def states(api: Api, owned: Mapping[str, str]) -> Mapping[str, object]:
    return {module: await rows.state(api, owned) for module, rows in all_rows().items() if rows.state}


def test_every_id_that_a_method_takes_is_classified() -> None:
    """As owned by an account, or as common to all; a new id fails this test until it is classified."""
    taken = {take for take, _ in taking_ids()}
    assert taken == OWN.keys() | EVERYONES, "have each in own or everyones of its tests/<module>/contract_rows.py"
    assert not OWN.keys() & EVERYONES


@pytest.mark.parametrize("kind", [person, service])
async def test_anothers_id_is_answered_as_one_that_does_not_exist(
    trading: Running, kind: Callable[[Running], Awaitable[Api]]
) -> None:
    """The same code, reason, text and metadata, for people and services; and nothing of the owner's changes."""
    owner, stranger = await kind(trading), await kind(trading)
    owned = await owned_by(trading, owner)
    before = await states(owner, owned)
    different = {}
    for take, method in taking_ids():
        if take not in OWN:
            continue
        theirs, nobodys = owned[OWN[take]], str(uuid4())
        answers = [
            await answer_to(stranger, method, with_id(method, take[1], given), given) for given in (theirs, nobodys)
        ]
        if answers[0] != answers[1]:
            different[take] = answers
    assert different == {}
    assert await states(owner, owned) == before


@pytest.mark.parametrize("kind", [person, service])
async def test_the_owner_of_an_id_gets_another_answer(
    trading: Running, kind: Callable[[Running], Awaitable[Api]]
) -> None:
    """This proves that the ids in the test above exist."""
    owner = await kind(trading)
    alike = set()
    for take, method in taking_ids():
        rows = next((rows for rows in all_rows().values() if take in rows.own), None)
        if rows is None or (kind is service and "session_id" in take[1]):
            continue
        owned = await rows.owned(trading, owner)
        ids = (owned[OWN[take]], str(uuid4()))
        answers = [await answer_to(owner, method, with_id(method, take[1], given), given) for given in ids]
        if answers[0] == answers[1]:
            alike.add(take)
        if take == ("IdentityService/RevokeSession", "session_id"):
            owner = await kind(trading)
    assert alike == set()


async def test_ids_of_accounts_are_refused_alike_without_the_permission(trading: Running) -> None:
    """Without the permission, existing and unknown ids are refused before they are looked up."""
    stranger, somebody = await person(trading), await person(trading)
    for account_id in (somebody.account_id, uuid4()):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stranger.access.GrantRole(granting(account_id, "customer"))
        assert refused(raised.value).reason == "PERMISSION_MISSING"
