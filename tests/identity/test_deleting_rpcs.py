"""DeleteAccount: who may, what ends at once, and how far it is."""

import asyncio
import json
from uuid import uuid4

from backroom.commerce.v1 import order_service_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2, profiles_pb2
from storage.frame.records import NOBODY
from storage.store import FRAME
from tests.commerce.goods import ask, placed, stocked
from tests.fixtures.servers import Api, Running
from tests.fixtures.trading import eventually
from tests.identity.ending import deleted, deleting, deletion_of, erased, person
from tests.identity.people import PASSWORD, granting, kept, logging_in, me, outcome, refreshing, registered
from tests.identity.records import events
from tests.invariants import assert_whole


async def test_a_person_deletes_its_account_by_its_password(server: Running, admin: Api) -> None:
    """Its sessions and its sign-in end with the answer, and its address is free at once."""
    ada = await person(server)
    tokens = (await server.anonymous.identity.Login(logging_in())).tokens
    found = await deleted(ada)
    assert (found.account_id, found.state) == (str(ada.account_id), profiles_pb2.AccountDeletion.STATE_RUNNING)
    again = server.anonymous.identity.Refresh(refreshing(tokens.refresh_token))
    assert await outcome(again) == "CREDENTIALS_INVALID"
    assert await outcome(server.anonymous.identity.Login(logging_in())) == "CREDENTIALS_INVALID"
    assert str(ada.account_id) not in await kept(server.database, "identity.accounts")
    await registered(server.anonymous)
    assert await deletion_of(admin, ada.account_id) == found


async def test_a_wrong_password_deletes_nothing(server: Running) -> None:
    """It is recorded, and delays the next attempt as a sign-in does."""
    ada = await person(server)
    call = ada.accounts.DeleteAccount(deleting(current_password="not the password"))
    assert await outcome(call) == "CREDENTIALS_INVALID"
    assert (await me(ada)).user.user_id == str(ada.account_id)
    results = [event.entry.result for event in await events(server.database, resource=f"account/{ada.account_id}")]
    assert results[-1] == "CREDENTIALS_INVALID"
    guesses = [
        await outcome(ada.accounts.DeleteAccount(deleting(current_password=f"guess {number}"))) for number in range(6)
    ]
    assert guesses[-1] == "TOO_MANY_ATTEMPTS"
    assert await outcome(ada.accounts.DeleteAccount(deleting())) == "TOO_MANY_ATTEMPTS"


async def test_an_administrator_deletes_the_accounts_of_others(server: Running, admin: Api) -> None:
    """Without a password; a person cannot, whether there is such an account or not."""
    ada, other = await person(server), await server.sign_in("customer")
    for account_id in (ada.account_id, uuid4()):
        assert await outcome(other.accounts.DeleteAccount(deleting(account_id))) == "ACCOUNT_NOT_PERMITTED"
    assert await outcome(admin.accounts.DeleteAccount(deleting(uuid4()))) == "ACCOUNT_NOT_FOUND"
    found = await deleted(admin, ada.account_id)
    assert found.requested_by == str(admin.account_id)
    assert await outcome(admin.access.GrantRole(granting(ada.account_id, "customer"))) == "ACCOUNT_NOT_FOUND"


async def test_a_service_account_is_deleted_with_its_keys(server: Running, admin: Api) -> None:
    """By an administrator alone: it has no password to prove itself by."""
    till = accounts_pb2.ServiceAccount(name="till", roles=["service"])
    made = await admin.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(request_id=str(uuid4()), service_account=till)
    )
    exchange = access_service_pb2.ExchangeKeyRequest(key=made.secret)
    token = (await server.anonymous.access.ExchangeKey(exchange)).access_token
    service = Api(server.channel, token)
    assert await outcome(service.accounts.DeleteAccount(deleting())) == "PASSWORD_ABSENT"
    request = deleting()
    request.account_id = made.service_account.service_account_id
    await admin.accounts.DeleteAccount(request)
    assert await outcome(server.anonymous.access.ExchangeKey(exchange)) == "CREDENTIALS_INVALID"


async def test_the_last_administrator_cannot_be_deleted(server: Running) -> None:
    """Not even by itself; as soon as there is another, it can."""
    ada, boss = await person(server), await server.sign_in("admin")
    await boss.access.GrantRole(granting(ada.account_id, "admin"))
    listing = access_service_pb2.ListServiceAccountsRequest()
    await eventually(lambda: outcome(ada.access.ListServiceAccounts(listing)), lambda found: found == "done")
    await deleted(ada, boss.account_id)
    assert await outcome(ada.accounts.DeleteAccount(deleting())) == "LAST_ADMIN"
    await server.sign_in("admin")
    await deleted(ada)


async def test_of_two_deletions_at_once_there_is_one(server: Running, admin: Api) -> None:
    """Both are answered with it, and one job erases."""
    ada = await person(server)
    first, second = await asyncio.gather(deleted(admin, ada.account_id), deleted(admin, ada.account_id))
    assert first == second
    async with server.database.store(FRAME).reading() as reading:
        jobs = [job for job in await reading.jobs.list_undone(100) if job.task == "identity.erase_account"]
    assert [job.args["account_id"] for job in jobs] == [str(ada.account_id)]


async def test_the_same_request_is_answered_alike(server: Running, admin: Api) -> None:
    """Also once all is erased: with what was answered first."""
    ada = await person(server)
    request = deleting(ada.account_id)
    first = await admin.accounts.DeleteAccount(request)
    await erased(server, ada.account_id)
    assert await admin.accounts.DeleteAccount(request) == first


async def test_a_deletion_is_done_once_and_told_once(server: Running, admin: Api) -> None:
    """However often its job runs: one event, one entry of the job; the laws hold before and after."""
    ada = await person(server)
    await deleted(ada)
    await assert_whole(server.database)
    for _ in range(2):
        await erased(server, ada.account_id)
    found = await deletion_of(admin, ada.account_id)
    assert found.state == profiles_pb2.AccountDeletion.STATE_DONE
    assert {"identity", "commerce", "flags", "bookings", "frame", "webhooks"} <= {*found.erased_parts}
    assert [*found.erased_parts][-2:] == ["frame", "webhooks"]
    told = [json.loads(line) for line in (await kept(server.database, "frame.events")).splitlines()]
    (event,) = [each for each in told if each["type"] == "account.deleted"]
    assert json.loads(event["data"])["account_id"] == str(ada.account_id)
    entries = await events(server.database, resource=f"account/{ada.account_id}", caller_id=NOBODY)
    assert [each.entry.action for each in entries].count("identity.erase_account") == 1
    await assert_whole(server.database)


async def test_nothing_is_ordered_for_a_deleted_account(server: Running) -> None:
    """A service that still knows the id is refused, from the moment of the answer on; others' orders go on."""
    ada, service = await person(server), await server.sign_in("service")
    await stocked(await server.sign_in("manager", "staff"), "TEA", 10)
    await placed(service, ("TEA", 1), customer_id=str(ada.account_id))
    await deleted(ada)
    asks = [ask(("TEA", 1), customer_id=str(ada.account_id)), ask(("TEA", 1), customer_id=str(uuid4()))]
    sent = [order_service_pb2.PlaceOrdersRequest(order=each) for each in asks]
    answers = [answer async for answer in service.orders.PlaceOrders(iter(sent))]
    assert [bool(answer.order.order_id) for answer in answers] == [False, True]
    assert await outcome(service.orders.PlaceOrder(asks[0])) == "ACCOUNT_DELETED"


async def test_what_is_handed_over_needs_a_successor(server: Running, admin: Api) -> None:
    """Another account that may sign in; it is told by the field's name."""
    ada, heir = await person(server), await server.sign_in("customer")
    for wrong in (ada.account_id, uuid4()):
        call = admin.accounts.DeleteAccount(deleting(ada.account_id, transfer_to_account_id=str(wrong)))
        assert await outcome(call) == "FIELD_INVALID"
    found = await deleted(admin, ada.account_id, transfer_to_account_id=str(heir.account_id))
    assert found.transfer_to_account_id == str(heir.account_id)


async def test_a_changed_password_is_the_one_that_counts(server: Running) -> None:
    """The old one deletes nothing."""
    ada = await person(server)
    change = identity_service_pb2.ChangePasswordRequest(current_password=PASSWORD, new_password="a quite new password")
    await ada.identity.ChangePassword(change)
    again = (await server.anonymous.identity.Login(logging_in(password="a quite new password"))).tokens
    signed_in = Api(server.channel, again.access_token, ada.account_id)
    assert await outcome(signed_in.accounts.DeleteAccount(deleting())) == "CREDENTIALS_INVALID"
