"""Every method that changes something leaves an entry in the record, with the change or not at all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from uuid_utils.compat import uuid7

from backroom.commerce.v1 import (
    catalog_service_pb2,
    order_service_pb2,
    payment_service_pb2,
    payments_pb2,
    products_pb2,
)
from backroom.flags.v1 import flag_service_pb2, flag_set_service_pb2, flag_sets_pb2, proposal_service_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2, roles_pb2
from backroom.webhooks.v1 import endpoints_pb2, webhook_service_pb2
from server.flags.messages.flags import creation
from server.flags.service import Changing
from server.frame.module import now
from storage.database import Database
from storage.flags.store import FLAGS
from storage.frame.records import NOBODY, ChangeContext
from tests.commerce.goods import ask, draft, receipt
from tests.contract.methods import METHODS, Method
from tests.fixtures.mailboxes import TOKEN, Collected
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.servers import Api
from tests.fixtures.trading import Shop, eventually, trading
from tests.flags.calling import drafted, editing, importing, rolling, value
from tests.flags.test_rpcs_scheduling import scheduling
from tests.identity.people import NEW_PASSWORD, PASSWORD, changing, granting, logging_in, registering, revoking
from tests.identity.records import events

CHANGING = {method.name: method.module for method in METHODS if method.changes}
"""What changes something, and in which module."""

BY_NAME = {method.name: method for method in METHODS}


@dataclass
class Scenario:
    """Calls methods, and looks what each of them left in the record."""

    shop: Shop
    mails: Collected
    admin: Api
    called: set[str] = field(default_factory=set)

    @property
    def anonymous(self) -> Api:
        return self.shop.server.anonymous

    async def change(
        self, api: Api, name: str, request: Message, *resources: str | Callable[[Any], str], caller: UUID | None = None
    ) -> Any:
        """Calls a method, and once more where it can be repeated; `{...}` in a resource is a field of the answer.

        Of each resource there must be one entry, of this caller and this call, and none of the repetition.
        """
        method = BY_NAME[name]
        call_id = f"{name}-{uuid4()}"
        answer = await self._sent(api, method, request, call_id)
        expected = sorted(each.format(answer=answer) if isinstance(each, str) else each(answer) for each in resources)
        found = [event.entry for event in await events(self.shop.server.database) if event.entry.call_id == call_id]
        assert sorted(entry.resource for entry in found) == expected, name
        for entry in found:
            assert entry.caller_id == (caller or api.account_id or NOBODY), name
            assert (entry.action, entry.address, entry.result) == (method.path[1:], "127.0.0.1", "OK")
        if _request_id(request):
            again = f"again-{uuid4()}"
            assert await self._sent(api, method, request, again) == answer, name
            calls = [event.entry.call_id for event in await events(self.shop.server.database)]
            assert again not in calls, name
        self.called.add(name)
        return answer

    async def token(self, to: str) -> str:
        """What the last mail to an address holds; the server sends it a moment later."""

        async def look() -> str | None:
            texts = [letter.text for letter in self.mails.letters if letter.to == to]
            found = TOKEN.search(texts[-1]) if texts else None
            return found.group() if found and found.group() not in self._seen else None

        token = await eventually(look, bool)
        assert token is not None
        self._seen.add(token)
        return token

    _seen: set[str] = field(default_factory=set)

    async def _sent(self, api: Api, method: Method, request: Message, call_id: str) -> Any:
        metadata = [("x-request-id", call_id)]
        metadata += [("authorization", f"Bearer {api.token}")] if api.token else []
        stub: Any = api.channel.unary_stream(method.path)
        call = stub(request.SerializeToString(), metadata=metadata, timeout=30)
        answers = [answer async for answer in call]
        return GetMessageClass(method.descriptor.output_type).FromString(answers[0])


def _request_id(request: Any) -> str:
    carried = request.order if isinstance(request, order_service_pb2.PlaceOrdersRequest) else request
    return str(getattr(carried, "request_id", ""))


@pytest.fixture
async def scenario(database: Database, database_url: str, sandbox_here: Sandbox) -> AsyncIterator[Scenario]:
    mails = Collected()
    async with trading(database, database_url, sandbox_here, outbox=mails) as shop:
        yield Scenario(shop, mails, await shop.server.sign_in("admin"))


def fresh() -> str:
    return str(uuid4())


async def sell(scenario: Scenario) -> None:
    """Products, stock and orders, each by every method that makes or changes one."""
    seller, pb = scenario.shop.seller, catalog_service_pb2
    made = await scenario.change(
        seller, "CreateProduct", pb.CreateProductRequest(request_id=fresh(), product=draft("TEA")), "product/TEA"
    )
    edit = pb.UpdateProductRequest(
        request_id=fresh(),
        product=products_pb2.Product(product_id=made.product.product_id, name="Tea"),
        update_mask=FieldMask(paths=["name"]),
    )
    await scenario.change(seller, "UpdateProduct", edit, "product/TEA")
    imported = pb.ImportProductsRequest(request_id=fresh(), product=draft("MUG"))
    await scenario.change(seller, "ImportProducts", imported, "product/MUG")
    await scenario.change(seller, "ImportProducts", pb.ImportProductsRequest(request_id=fresh(), product=draft("MUG")))
    await scenario.change(seller, "AdjustStock", receipt("TEA", 100, request_id=fresh()), "product/TEA")
    placed = await scenario.change(seller, "PlaceOrder", ask(("TEA", 1)), "order/{answer.order.order_id}")
    cancel = order_service_pb2.CancelOrderRequest(request_id=fresh(), order_id=placed.order.order_id, reason="why not")
    await scenario.change(seller, "CancelOrder", cancel, f"order/{placed.order.order_id}")


async def take_money(scenario: Scenario) -> None:
    """Orders paid, handed over, paid back; and one that is cancelled when it was paid."""
    shop, seller = scenario.shop, scenario.shop.seller
    streamed = order_service_pb2.PlaceOrdersRequest(order=ask(("TEA", 1)))
    placed = await scenario.change(seller, "PlaceOrders", streamed, "order/{answer.order.order_id}")
    order_id = placed.order.order_id
    await shop.sandbox.behave(webhook_url="")
    create = payment_service_pb2.CreatePaymentRequest(
        request_id=fresh(), payment=payments_pb2.Payment(order_id=order_id, method="card_later")
    )
    begun = await scenario.change(seller, "CreatePayment", create, "payment/{answer.payment.payment_id}")
    payment_id = begun.payment.payment_id
    known = await eventually(lambda: shop.payment(payment_id), lambda found: bool(found.provider_payment_id))
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/confirm")).raise_for_status()
    confirm = payment_service_pb2.ConfirmPaymentRequest(payment_id=payment_id)
    await scenario.change(seller, "ConfirmPayment", confirm, f"payment/{payment_id}")
    paid = await shop.settled(known, "CAPTURED")
    fulfill = order_service_pb2.FulfillOrderRequest(request_id=fresh(), order_id=order_id)
    await scenario.change(seller, "FulfillOrder", fulfill, f"order/{order_id}")
    refund = payment_service_pb2.RefundPaymentRequest(request_id=fresh(), payment_id=payment_id)
    await scenario.change(seller, "RefundPayment", refund, f"payment/{payment_id}")
    await shop.settled(paid, "REFUNDED")


async def nothing_to_pay(scenario: Scenario) -> None:
    """What was bought for nothing is paid as it is asked for; cancelling what was paid pays it back."""
    shop, seller = scenario.shop, scenario.shop.seller
    free = ask(("TEA", 1))
    free.lines[0].unit_price.currency_code = "GBP"
    placed = await scenario.change(seller, "PlaceOrder", free, "order/{answer.order.order_id}")
    create = payment_service_pb2.CreatePaymentRequest(
        request_id=fresh(), payment=payments_pb2.Payment(order_id=placed.order.order_id)
    )
    both = (f"order/{placed.order.order_id}", "payment/{answer.payment.payment_id}")
    await scenario.change(seller, "CreatePayment", create, *both)
    placed = await scenario.change(seller, "PlaceOrder", ask(("TEA", 1)), "order/{answer.order.order_id}")
    paid = await shop.settled(await shop.pay(placed.order), "CAPTURED")
    cancel = order_service_pb2.CancelOrderRequest(request_id=fresh(), order_id=placed.order.order_id)
    both = (f"order/{placed.order.order_id}", f"payment/{paid.payment_id}")
    await scenario.change(seller, "CancelOrder", cancel, *both)


async def subscribe(scenario: Scenario) -> None:
    """An endpoint, from its beginning to its end."""
    seller, pb = scenario.shop.seller, webhook_service_pb2
    create = pb.CreateEndpointRequest(
        request_id=fresh(),
        endpoint=endpoints_pb2.Endpoint(url="https://example.com/hook", event_types=["webhook.endpoint_disabled"]),
    )
    made = await scenario.change(seller, "CreateEndpoint", create, "endpoint/{answer.endpoint.endpoint_id}")
    endpoint_id = made.endpoint.endpoint_id
    resource = f"endpoint/{endpoint_id}"
    rotate = pb.RotateSecretRequest(request_id=fresh(), endpoint_id=endpoint_id)
    await scenario.change(seller, "RotateSecret", rotate, resource)
    update = pb.UpdateEndpointRequest(
        request_id=fresh(),
        update_mask=FieldMask(paths=["description"]),
        endpoint=endpoints_pb2.Endpoint(endpoint_id=endpoint_id, description="Mine"),
    )
    await scenario.change(seller, "UpdateEndpoint", update, resource)
    tested = await scenario.change(
        seller, "SendTestEvent", pb.SendTestEventRequest(request_id=fresh(), endpoint_id=endpoint_id), resource
    )
    again = pb.RedeliverRequest(request_id=fresh(), delivery_id=tested.delivery.delivery_id)
    await scenario.change(seller, "Redeliver", again, resource)
    delete = pb.DeleteEndpointRequest(request_id=fresh(), endpoint_id=endpoint_id)
    await scenario.change(seller, "DeleteEndpoint", delete, resource)


async def come_in(scenario: Scenario) -> None:
    """A person, from registering to a forgotten password."""
    anonymous, pb, email = scenario.anonymous, identity_service_pb2, "ada@example.com"
    registered = await scenario.change(anonymous, "Register", registering(email), "account/{answer.user.user_id}")
    ada = UUID(registered.user.user_id)
    account = f"account/{ada}"
    await scenario.token(email)
    mail = pb.SendEmailVerificationRequest(request_id=fresh(), email=email)
    # Until an address is verified, it is no account's: each registration with it is pending by itself.
    await scenario.change(anonymous, "SendEmailVerification", mail, "account/")
    verify = pb.VerifyEmailRequest(request_id=fresh(), token=await scenario.token(email))
    await scenario.change(anonymous, "VerifyEmail", verify, account)
    api = await logged_in(scenario, ada, email, PASSWORD)
    await scenario.change(api, "ChangePassword", changing(), account)
    forgot = pb.RequestPasswordResetRequest(request_id=fresh(), email=email)
    await scenario.change(anonymous, "RequestPasswordReset", forgot, account)
    token = await scenario.token(email)
    reset = pb.ResetPasswordRequest(request_id=fresh(), token=token, new_password=f"{NEW_PASSWORD} 2")
    await scenario.change(anonymous, "ResetPassword", reset, account)
    await sessions(scenario, ada, email, f"{NEW_PASSWORD} 2")


async def logged_in(scenario: Scenario, owner: UUID, email: str, password: str) -> Api:
    """The entry of a login says whose it was, though nobody was signed in when the call came."""
    login = logging_in(email, password)
    answer = await scenario.change(
        scenario.anonymous, "Login", login, lambda answer: session_of(answer.tokens), caller=owner
    )
    return Api(scenario.shop.server.channel, answer.tokens.access_token, owner)


def session_of(tokens: accounts_pb2.Tokens) -> str:
    """The session that an access token was issued for, as a resource."""
    return f"session/{jwt.decode(tokens.access_token, options={'verify_signature': False})['sid']}"


async def sessions(scenario: Scenario, ada: UUID, email: str, password: str) -> None:
    """How sessions go on, and each way in which one ends."""
    pb, anonymous = identity_service_pb2, scenario.anonymous
    first = await anonymous.identity.Login(logging_in(email, password))
    refresh = pb.RefreshRequest(refresh_token=first.tokens.refresh_token)
    renewed = await scenario.change(anonymous, "Refresh", refresh, session_of(first.tokens), caller=ada)
    logout = pb.LogoutRequest(refresh_token=renewed.tokens.refresh_token)
    await scenario.change(anonymous, "Logout", logout, session_of(first.tokens), caller=ada)
    second = await anonymous.identity.Login(logging_in(email, password))
    api = await logged_in(scenario, ada, email, password)
    revoke = pb.RevokeSessionRequest(request_id=fresh(), session_id=session_of(second.tokens).removeprefix("session/"))
    await scenario.change(api, "RevokeSession", revoke, session_of(second.tokens))
    everything = pb.RevokeAllSessionsRequest(request_id=fresh(), keep_current=True)
    await scenario.change(api, "RevokeAllSessions", everything, f"account/{ada}")


async def govern(scenario: Scenario) -> None:
    """Roles, and accounts that hold them."""
    admin, pb = scenario.admin, access_service_pb2
    role = roles_pb2.Role(name="stocktaker", permissions=["inventory.read"])
    await scenario.change(admin, "CreateRole", pb.CreateRoleRequest(request_id=fresh(), role=role), "role/stocktaker")
    role.description = "Counts."
    update = pb.UpdateRoleRequest(request_id=fresh(), role=role, update_mask=FieldMask(paths=["description"]))
    await scenario.change(admin, "UpdateRole", update, "role/stocktaker")
    service = pb.CreateServiceAccountRequest(
        request_id=fresh(), service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
    )
    made = await scenario.change(
        admin, "CreateServiceAccount", service, "account/{answer.service_account.service_account_id}"
    )
    till = UUID(made.service_account.service_account_id)
    account = f"account/{till}"
    await scenario.change(admin, "GrantRole", granting(till, "stocktaker", request_id=fresh()), account)
    await scenario.change(admin, "RevokeRole", revoking(till, "stocktaker", request_id=fresh()), account)
    await scenario.change(
        admin, "DeleteRole", pb.DeleteRoleRequest(request_id=fresh(), name="stocktaker"), "role/stocktaker"
    )
    await let_in(scenario, till)


async def let_in(scenario: Scenario, till: UUID) -> None:
    """A service's keys, and whether it may come in at all."""
    admin, pb, account = scenario.admin, access_service_pb2, f"account/{till}"
    create = pb.CreateKeyRequest(request_id=fresh(), key=accounts_pb2.Key(service_account_id=str(till)))
    key = await scenario.change(admin, "CreateKey", create, "key/{answer.key.key_id}")
    exchange = pb.ExchangeKeyRequest(key=key.secret)
    await scenario.change(scenario.anonymous, "ExchangeKey", exchange, f"key/{key.key.key_id}", caller=till)
    delete = pb.DeleteKeyRequest(request_id=fresh(), key_id=key.key.key_id)
    await scenario.change(admin, "DeleteKey", delete, f"key/{key.key.key_id}")
    await scenario.change(
        admin, "DisableAccount", pb.DisableAccountRequest(request_id=fresh(), account_id=str(till)), account
    )
    await scenario.change(
        admin, "EnableAccount", pb.EnableAccountRequest(request_id=fresh(), account_id=str(till)), account
    )


async def keep_flags(scenario: Scenario) -> None:
    """Flags, segments and their set, each by every method that changes one."""
    admin, pb = scenario.admin, flag_service_pb2
    create = pb.CreateFlagRequest(request_id=fresh(), flag=drafted("f"))
    await scenario.change(admin, "CreateFlag", create, "flag//f")
    await scenario.change(admin, "UpdateFlag", editing("f", "owner", owner="web"), "flag//f")
    await scenario.change(admin, "SetRollout", rolling("f", on=10), "flag//f")
    await scenario.change(admin, "SwitchOff", pb.SwitchOffRequest(request_id=fresh(), key="f"), "flag//f")
    await scenario.change(admin, "ArchiveFlag", pb.ArchiveFlagRequest(request_id=fresh(), key="f"), "flag//f")
    back = pb.RollbackFlagRequest(request_id=fresh(), key="f", version=1)
    await scenario.change(admin, "RollbackFlag", back, "flag//f")
    document = {"flags": {"g": {"state": "ENABLED", "variants": {"on": True}}}, "$evaluators": {"s": {"var": "s"}}}
    (imported,) = importing(document)
    await scenario.change(admin, "ImportFlags", imported, "flag_set/", "flag//g", "segment//s")
    await keep_sets(scenario)


async def keep_sets(scenario: Scenario) -> None:
    admin, pb = scenario.admin, flag_set_service_pb2
    segment = flag_sets_pb2.Segment(name="staff", rule=value({"var": "staff"}))
    create = pb.CreateSegmentRequest(request_id=fresh(), segment=segment)
    await scenario.change(admin, "CreateSegment", create, "segment//staff")
    segment.description = "Ours."
    update = pb.UpdateSegmentRequest(request_id=fresh(), segment=segment)
    await scenario.change(admin, "UpdateSegment", update, "segment//staff")
    delete = pb.DeleteSegmentRequest(request_id=fresh(), name="staff")
    await scenario.change(admin, "DeleteSegment", delete, "segment//staff")
    flag_set = flag_sets_pb2.FlagSet(flag_set_id="shop", description="The shop's.")
    changed = pb.UpdateFlagSetRequest(request_id=fresh(), flag_set=flag_set)
    await scenario.change(admin, "UpdateFlagSet", changed, "flag_set/shop")


async def schedule_flags(scenario: Scenario) -> None:
    """A schedule, from its beginning to its end."""
    admin = scenario.admin
    one = "schedule/{answer.schedule.schedule_id}"
    made = await scenario.change(admin, "ScheduleFlagChange", scheduling("f", 3600), one)
    for name in ("Pause", "Resume", "Cancel"):
        request = getattr(flag_service_pb2, f"{name}FlagScheduleRequest")
        message = request(request_id=fresh(), schedule_id=made.schedule.schedule_id)
        await scenario.change(admin, f"{name}FlagSchedule", message, one)


async def decide_on_flags(scenario: Scenario) -> None:
    """Changes that were proposed, as where they need approval."""
    pb, somebody = proposal_service_pb2, await scenario.shop.server.sign_in("admin")
    proposing = Changing(scenario.shop.server.database.store(FLAGS), now, uuid7, approval=True)
    for name, decides in (("Approve", somebody), ("Reject", somebody), ("Withdraw", scenario.admin)):
        assert scenario.admin.account_id is not None
        asked = ChangeContext(scenario.admin.account_id, "test", now())
        proposed = await proposing.change(creation(drafted(name), ""), asked)
        assert proposed.proposal is not None
        proposal_id = str(proposed.proposal.id)
        request = getattr(pb, f"{name}ProposalRequest")(request_id=fresh(), proposal_id=proposal_id)
        resources = [f"proposal/{proposal_id}", *([f"flag//{name}"] if name == "Approve" else [])]
        await scenario.change(decides, f"{name}Proposal", request, *resources)


PARTS: Mapping[str, Sequence[Callable[[Scenario], Awaitable[None]]]] = {
    "identity": (come_in, govern),
    "commerce": (sell, take_money, nothing_to_pay),
    "webhooks": (subscribe,),
    "flags": (keep_flags, schedule_flags, decide_on_flags),
}
"""What is called of each module, in this order."""


@pytest.mark.parametrize("module", sorted({*CHANGING.values()}))
async def test_every_method_that_changes_something_leaves_an_entry(scenario: Scenario, module: str) -> None:
    """One for each resource, with who, what, from where and under which call; a repetition leaves none.

    A new method that changes something and is not called by its module's parts fails.
    """
    for part in PARTS[module]:
        await part(scenario)
    assert scenario.called == {name for name, its_module in CHANGING.items() if its_module == module}


async def test_what_jobs_change_is_recorded_under_their_names(scenario: Scenario) -> None:
    """Of nobody, from nowhere; each once, whoever told it and however often."""
    await sell(scenario)
    shop = scenario.shop
    order = (await shop.seller.orders.PlaceOrder(ask(("TEA", 1)))).order
    paid = await shop.settled(await shop.pay(order), "CAPTURED")
    late = ask(("TEA", 1))
    late.hold_duration.FromSeconds(1)
    expired = (await shop.seller.orders.PlaceOrder(late)).order

    async def entries() -> Sequence[tuple[str, str]]:
        found = [event.entry for event in await events(shop.server.database)]
        assert all((each.address, each.call_id) == ("", "") for each in found if "/" not in each.action)
        return [(each.action, each.resource) for each in found if each.caller_id == NOBODY]

    gone = ("commerce.expire", f"order/{expired.order_id}")
    found = await eventually(entries, lambda found: gone in found)
    assert found.count(gone) == 1
    # Either our own asking or the provider's webhook made it paid, and the other one changed nothing more.
    assert [resource for _, resource in found].count(f"order/{order.order_id}") == 1
    of_payment = [action for action, resource in found if resource == f"payment/{paid.payment_id}"]
    assert of_payment
    assert {*of_payment} <= {"commerce.pay", "commerce.take_payment_event"}
    assert paid.state == payments_pb2.PAYMENT_STATE_CAPTURED


async def test_a_refused_change_leaves_nothing(scenario: Scenario) -> None:
    """Nor do those of a batch that are refused, beside those that are not."""
    await sell(scenario)
    seller = scenario.shop.seller
    before = len(await events(scenario.shop.server.database, caller_id=seller.account_id))
    asks = [ask(("TEA", 1)), ask(("TEA", 1_000)), ask(("NONE", 1)), ask(("TEA", 2))]
    sent = [order_service_pb2.PlaceOrdersRequest(order=each) for each in asks]
    answers = [answer async for answer in seller.orders.PlaceOrders(iter(sent))]
    placed = [answer.order.order_id for answer in answers if answer.order.order_id]
    found = await events(scenario.shop.server.database, caller_id=seller.account_id)
    assert sorted(event.entry.resource for event in found[before:]) == sorted(f"order/{each}" for each in placed)
    assert len(placed) == 2
