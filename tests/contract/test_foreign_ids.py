"""Another's id is answered as one that does not exist, by every method that takes an id."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from backroom.commerce.v1 import orders_pb2, payment_service_pb2, payments_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.frame.canonical import behaviors_of, is_output_only
from storage.database import Database
from tests.commerce.goods import found, placed, raw, stocked
from tests.contract.hostile import filled
from tests.contract.methods import METHODS, Method, message_sent
from tests.fixtures.applications import paying_by
from tests.fixtures.servers import Api, Refused, Running, refused, running
from tests.identity.people import granting

TEA = "tea-2718"
TRADER = (
    *("catalog.read", "orders.place", "orders.read", "orders.cancel", "orders.fulfill"),
    *("payments.create", "payments.read", "payments.refund"),
)
"""All that there is to do with orders of one's own, and nothing that reaches those of others."""

Take = tuple[str, str]
"""A method, and the path of a field that holds an id."""

_SHOPS_GOODS = "products are the shop's: who may read or write one may do so with all"
_GOVERNED = (
    "access.manage reaches every account; what holds more than the caller is refused as such, as the contract says"
)
_SHOPS_HOOKS = "endpoints are the shop's and no caller's: webhooks.manage reaches all of them"
_KEPT_FLAGS = "flag sets, schedules and proposals are no caller's: who may read or write flags may do so with all"
_WITHDRAWN = "that another's proposal is answered as none is tested where proposals are: in tests/flags"
_RECORD = "audit.read reaches the whole record"

EVERYONES_BY_MODULE: Mapping[str, Mapping[Take, str]] = {
    "identity": {
        **dict.fromkeys(
            [
                ("AccessService/GrantRole", "account_id"),
                ("AccessService/RevokeRole", "account_id"),
                ("AccessService/DisableAccount", "account_id"),
                ("AccessService/EnableAccount", "account_id"),
                ("AccessService/CreateKey", "key.service_account_id"),
                ("AccessService/ListKeys", "service_account_id"),
                ("AccessService/DeleteKey", "key_id"),
            ],
            _GOVERNED,
        ),
        ("AuditService/ListAuditEvents", "caller_id"): _RECORD,
    },
    "commerce": dict.fromkeys(
        [
            ("CatalogService/UpdateProduct", "product.product_id"),
            ("CatalogService/GetProduct", "product_id"),
        ],
        _SHOPS_GOODS,
    ),
    "webhooks": dict.fromkeys(
        [
            ("WebhookService/GetEndpoint", "endpoint_id"),
            ("WebhookService/UpdateEndpoint", "endpoint.endpoint_id"),
            ("WebhookService/DeleteEndpoint", "endpoint_id"),
            ("WebhookService/RotateSecret", "endpoint_id"),
            ("WebhookService/SendTestEvent", "endpoint_id"),
            ("WebhookService/ListDeliveries", "endpoint_id"),
            ("WebhookService/Redeliver", "delivery_id"),
        ],
        _SHOPS_HOOKS,
    ),
    "flags": {
        **dict.fromkeys(
            [
                ("FlagService/CreateFlag", "flag.flag_set_id"),
                ("FlagService/UpdateFlag", "flag.flag_set_id"),
                ("FlagService/GetFlag", "flag_set_id"),
                ("FlagService/ListFlags", "flag_set_id"),
                ("FlagService/ArchiveFlag", "flag_set_id"),
                ("FlagService/ListFlagVersions", "flag_set_id"),
                ("FlagService/RollbackFlag", "flag_set_id"),
                ("FlagService/ImportFlags", "flag_set_id"),
                ("FlagService/ExportFlags", "flag_set_id"),
                ("FlagService/SetRollout", "flag_set_id"),
                ("FlagService/SwitchOff", "flag_set_id"),
                ("FlagService/ExplainFlag", "flag_set_id"),
                ("FlagService/TryFlag", "flag_set_id"),
                ("FlagService/TryFlag", "edit.flag.flag_set_id"),
                ("FlagService/ScheduleFlagChange", "schedule.flag_set_id"),
                ("FlagService/ListFlagSchedules", "flag_set_id"),
                ("FlagService/GetFlagUsage", "flag_set_id"),
                ("FlagService/ListStaleFlags", "flag_set_id"),
                ("FlagService/ScheduleFlagChange", "schedule.schedule_id"),
                ("FlagService/GetFlagSchedule", "schedule_id"),
                ("FlagService/PauseFlagSchedule", "schedule_id"),
                ("FlagService/ResumeFlagSchedule", "schedule_id"),
                ("FlagService/CancelFlagSchedule", "schedule_id"),
                ("FlagSetService/GetFlagSet", "flag_set_id"),
                ("FlagSetService/UpdateFlagSet", "flag_set.flag_set_id"),
                ("FlagSetService/CreateSegment", "segment.flag_set_id"),
                ("FlagSetService/UpdateSegment", "segment.flag_set_id"),
                ("FlagSetService/GetSegment", "flag_set_id"),
                ("FlagSetService/ListSegments", "flag_set_id"),
                ("FlagSetService/DeleteSegment", "flag_set_id"),
                ("ProposalService/GetProposal", "proposal_id"),
                ("ProposalService/ApproveProposal", "proposal_id"),
                ("ProposalService/RejectProposal", "proposal_id"),
            ],
            _KEPT_FLAGS,
        ),
        ("ProposalService/WithdrawProposal", "proposal_id"): _WITHDRAWN,
        **dict.fromkeys(
            [("FlagSyncService/FetchAllFlags", "provider_id"), ("FlagSyncService/SyncFlags", "provider_id")],
            "flagd's clients name themselves by it, and nothing is looked up",
        ),
    },
}
"""Where no id is another's, and why."""


@dataclass(frozen=True)
class Owned:
    """What somebody has, by its ids."""

    account_id: str
    session_id: str
    order_id: str
    payment_id: str


OWN_BY_MODULE: Mapping[str, Mapping[Take, Callable[[Owned], str]]] = {
    "commerce": {
        ("OrderService/PlaceOrder", "customer_id"): lambda owned: owned.account_id,
        ("OrderService/PlaceOrders", "order.customer_id"): lambda owned: owned.account_id,
        ("OrderService/GetOrder", "order_id"): lambda owned: owned.order_id,
        ("OrderService/ListOrders", "customer_id"): lambda owned: owned.account_id,
        ("OrderService/CancelOrder", "order_id"): lambda owned: owned.order_id,
        ("OrderService/FulfillOrder", "order_id"): lambda owned: owned.order_id,
        ("OrderService/WatchOrders", "customer_id"): lambda owned: owned.account_id,
        ("PaymentService/CreatePayment", "payment.order_id"): lambda owned: owned.order_id,
        ("PaymentService/ConfirmPayment", "payment_id"): lambda owned: owned.payment_id,
        ("PaymentService/GetPayment", "payment_id"): lambda owned: owned.payment_id,
        ("PaymentService/ListPayments", "order_id"): lambda owned: owned.order_id,
        ("PaymentService/RefundPayment", "payment_id"): lambda owned: owned.payment_id,
    },
    "identity": {("IdentityService/RevokeSession", "session_id"): lambda owned: owned.session_id},
}
"""Where an id is one's own or another's, and which of its owner's it is."""

EVERYONES = {take for rows in EVERYONES_BY_MODULE.values() for take in rows}
OWN = {take: owner for rows in OWN_BY_MODULE.values() for take, owner in rows.items()}


def taking_ids() -> Iterator[tuple[Take, Method]]:
    for method in METHODS:
        for path in _paths(method.takes):
            # What a Create or an Import makes gets its id from the server.
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
    """The path of the id of the resource that a request holds."""
    for field in method.takes.fields:
        for inner in field.message_type.fields if field.message_type else ():
            if field_behavior_pb2.IDENTIFIER in behaviors_of(inner):
                return f"{field.name}.{inner.name}"
    return None


def with_id(method: Method, path: str, given: str) -> Message:
    """The plainest request with this id; of goods that there are, where it holds lines."""
    message: Any = filled(method.takes)
    holder = message
    *outer, name = path.split(".")
    for each in outer:
        holder = getattr(holder, each)
        holder.SetInParent()
    setattr(holder, name, given)
    if "lines" in holder.DESCRIPTOR.fields_by_name:
        holder.ClearField("lines")
        holder.lines.add(sku=TEA, quantity=1)
    return message  # type: ignore[no-any-return] # built from a descriptor


async def answer_to(api: Api, method: Method, message: Message, given: str) -> object:
    """How a call ends, with the id that was sent taken out of it, and the request's own."""
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
    """A server that takes payments, where traders may do all there is to do with orders of their own."""
    async with running(database, **paying_by("http://127.0.0.1:1", "key")) as opened:
        boss = await opened.sign_in("admin")
        await stocked(boss, TEA, 1000)
        request = access_service_pb2.CreateRoleRequest()
        request.role.name = "trader"
        request.role.permissions.extend(TRADER)
        await boss.access.CreateRole(request)
        yield opened


async def person(server: Running) -> Api:
    return await server.sign_in("trader")


async def service(server: Running) -> Api:
    """An internal service that came in by its key."""
    boss = await server.sign_in("admin")
    creating = access_service_pb2.CreateServiceAccountRequest(
        service_account=accounts_pb2.ServiceAccount(name=f"till-{uuid4().hex}", roles=["trader"])
    )
    created = await boss.access.CreateServiceAccount(creating)
    exchanged = await server.anonymous.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=created.secret))
    answer = await Api(server.channel, exchanged.access_token).identity.GetMe(identity_service_pb2.GetMeRequest())
    return Api(server.channel, exchanged.access_token, answer.service_account.service_account_id)


async def owned_by(server: Running, api: Api) -> tuple[Owned, orders_pb2.Order]:
    order = await placed(api, (TEA, 2))
    paying = payment_service_pb2.CreatePaymentRequest(payment=payments_pb2.Payment(order_id=order.order_id))
    payment = (await api.payments.CreatePayment(paying)).payment
    said = await server.application.identity.tokens.verified(api.token or "")
    return Owned(str(api.account_id), str(said.issued_for), order.order_id, payment.payment_id), order


def test_every_id_that_a_method_takes_is_placed() -> None:
    """Among those that are one's own or another's, or those that are everyone's; a new one fails until it is."""
    taken = {take for take, _ in taking_ids()}
    assert taken == OWN.keys() | EVERYONES
    assert not OWN.keys() & EVERYONES


@pytest.mark.parametrize("kind", [person, service])
async def test_anothers_id_is_answered_as_one_that_does_not_exist(
    trading: Running, kind: Callable[[Running], Awaitable[Api]]
) -> None:
    """The same code, reason, text and metadata, from people and services; and nothing of the owner's changes."""
    owner, stranger = await kind(trading), await kind(trading)
    owned, order = await owned_by(trading, owner)
    different = {}
    for take, method in taking_ids():
        if take not in OWN:
            continue
        theirs, nobodys = OWN[take](owned), str(uuid4())
        answers = [
            await answer_to(stranger, method, with_id(method, take[1], given), given) for given in (theirs, nobodys)
        ]
        if answers[0] != answers[1]:
            different[take] = answers
    assert different == {}
    assert raw(await found(owner, order.order_id)) == raw(order)
    paid = payment_service_pb2.GetPaymentRequest(payment_id=owned.payment_id)
    assert not (await owner.payments.GetPayment(paid)).payment.refunds


@pytest.mark.parametrize("kind", [person, service])
async def test_its_owner_is_answered_otherwise(trading: Running, kind: Callable[[Running], Awaitable[Api]]) -> None:
    """The test above looks at ids that do exist."""
    owner = await kind(trading)
    alike = set()
    for take, method in taking_ids():
        if take not in OWN or (kind is service and "session_id" in take[1]):
            continue
        owned, _ = await owned_by(trading, owner)
        ids = (OWN[take](owned), str(uuid4()))
        answers = [await answer_to(owner, method, with_id(method, take[1], given), given) for given in ids]
        if answers[0] == answers[1]:
            alike.add(take)
        if take == ("IdentityService/RevokeSession", "session_id"):
            owner = await kind(trading)
    assert alike == set()


async def test_the_ids_of_accounts_are_nobodys_who_governs_nothing(trading: Running) -> None:
    """Without the permission, an id that exists and one that does not are refused before they are looked at."""
    stranger, somebody = await person(trading), await person(trading)
    for account_id in (somebody.account_id, uuid4()):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stranger.access.GrantRole(granting(account_id, "customer"))
        assert refused(raised.value).reason == "PERMISSION_MISSING"
