"""CreateServiceAccount and ExchangeKey, over the wire."""

from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc

from backroom.identity.v1 import access_service_pb2
from server.identity.roles import ROLES
from server.identity.rules import ACCESS_TOKEN_LIFE
from server.identity.tokens import key_hash
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import Clock, granting, kept, log_of, me, registering


def creating(name: str = "till", *roles: str, **rest: Any) -> access_service_pb2.CreateServiceAccountRequest:
    values = {"request_id": str(uuid4()), "name": name, "roles": roles}
    return access_service_pb2.CreateServiceAccountRequest(**{**values, **rest})


def exchanging(key: str) -> access_service_pb2.ExchangeKeyRequest:
    return access_service_pb2.ExchangeKeyRequest(key=key)


async def signed_in(server: Running, key: str) -> Api:
    token = await server.anonymous.access.ExchangeKey(exchanging(key))
    return Api(server.channel, token.access_token)


async def test_a_service_account_is_created_with_a_key(server: Running, admin: Api) -> None:
    """Without roles it gets the role service, and the key signs it in."""
    created = await admin.access.CreateServiceAccount(creating())
    account = created.service_account
    assert (account.name, list(account.roles)) == ("till", ["service"])
    assert UUID(account.service_account_id).version == 7
    answer = await me(await signed_in(server, created.key))
    assert answer.service_account == account
    assert set(answer.permissions) == ROLES["service"]


async def test_a_service_account_gets_the_roles_it_is_given(admin: Api) -> None:
    """In alphabetical order, and the role service only where it is asked for."""
    created = await admin.access.CreateServiceAccount(creating("till", "staff", "customer"))
    assert list(created.service_account.roles) == ["customer", "staff"]


async def test_the_key_is_kept_as_a_hash_alone(server: Running, admin: Api) -> None:
    """Neither the accounts nor the remembered requests nor the log hold it."""
    created = await admin.access.CreateServiceAccount(creating())
    await signed_in(server, created.key)
    accounts = await kept(server.database, "identity.accounts")
    assert key_hash(created.key).hex() in accounts
    for place in (accounts, await kept(server.database, "frame.request_ids"), str(await log_of(server))):
        assert created.key.removeprefix("brk_") not in place


async def test_a_repeated_request_returns_the_same_account_and_the_same_key(server: Running, admin: Api) -> None:
    """A lost answer loses no key, and there is one account."""
    request = creating("till", "staff")
    first = await admin.access.CreateServiceAccount(request)
    again = await admin.access.CreateServiceAccount(request)
    assert again == first
    assert again.key == first.key
    assert (await kept(server.database, "identity.accounts")).count('"till"') == 1


async def test_a_request_id_stands_for_one_account(admin: Api) -> None:
    """Another name or other roles under it are refused."""
    request = creating("till", "staff")
    await admin.access.CreateServiceAccount(request)
    for other in (creating("kiosk", "staff"), creating("till"), creating("till", "staff", "customer")):
        other.request_id = request.request_id
        refused = await refusal(admin.access.CreateServiceAccount(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_a_name_belongs_to_one_service(server: Running, admin: Api) -> None:
    """The second is refused, and the first one's key goes on."""
    created = await admin.access.CreateServiceAccount(creating())
    refused = await refusal(admin.access.CreateServiceAccount(creating()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN")
    assert (await me(await signed_in(server, created.key))).service_account == created.service_account


async def test_a_persons_name_takes_no_service_name(server: Running, admin: Api) -> None:
    """People and services are named apart."""
    await server.anonymous.identity.Register(registering(display_name="till"))
    assert (await admin.access.CreateServiceAccount(creating("till"))).key


async def test_unknown_roles_create_nothing(server: Running, admin: Api) -> None:
    """The first unknown one is named, before the name is looked at."""
    await admin.access.CreateServiceAccount(creating("taken"))
    before = await kept(server.database, "identity.accounts")
    for name in ("till", "taken"):
        refused = await refusal(admin.access.CreateServiceAccount(creating(name, "staff", "wizard")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "ROLE_NOT_FOUND")
        assert refused.metadata == {"role": "wizard"}
    assert await kept(server.database, "identity.accounts") == before


async def test_names_are_bounded(admin: Api) -> None:
    """One to 64 of the letters that the contract names, and neither a dot nor a dash at an end."""
    for name in ("a", "a" * 64, "9", "shop.till-1"):
        assert (await admin.access.CreateServiceAccount(creating(name))).service_account.name == name
    for name in ("", "a" * 65, "Till", "till ", "till\n", "-till", "till.", "tïll", "till\0"):
        refused = await refusal(admin.access.CreateServiceAccount(creating(name)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["name"]), name


async def test_roles_are_bounded(admin: Api) -> None:
    """Twice the same, an empty one, or more than twenty are refused by the field's name."""
    for roles in (["staff", "staff"], ["staff", ""], [f"role{place}" for place in range(21)]):
        refused = await refusal(admin.access.CreateServiceAccount(creating("till", *roles)))
        assert refused.reason == "FIELD_INVALID"
        assert all(field.startswith("roles") for field in refused.fields)


async def test_only_who_manages_access_creates_service_accounts(server: Running, service: Api) -> None:
    """A service cannot make itself another one."""
    refused = await refusal(service.access.CreateServiceAccount(creating()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert '"till"' not in await kept(server.database, "identity.accounts")


async def test_a_key_is_traded_for_a_token_again_and_again(timed: Running, clock: Clock) -> None:
    """Each trade gives another token of fifteen minutes, and stores nothing."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    before = await kept(timed.database, "identity.sessions"), await kept(timed.database, "frame.request_ids")
    answers = [await timed.anonymous.access.ExchangeKey(exchanging(created.key)) for _ in range(2)]
    assert answers[0].access_token != answers[1].access_token
    for answer in answers:
        life = answer.expire_time.ToDatetime(UTC) - clock()
        assert timedelta(0) <= ACCESS_TOKEN_LIFE - life < timedelta(seconds=1)
    after = await kept(timed.database, "identity.sessions"), await kept(timed.database, "frame.request_ids")
    assert after == before


async def test_a_key_gives_the_roles_of_now(server: Running, admin: Api) -> None:
    """What was granted since counts from the next trade on."""
    created = await admin.access.CreateServiceAccount(creating())
    account_id = created.service_account.service_account_id
    assert not (await caller(server, created.key)).may("users.list")
    await admin.access.GrantRole(granting(account_id, "manager"))
    assert (await caller(server, created.key)).may("users.list")


async def test_a_wrong_key_signs_nobody_in(server: Running, admin: Api) -> None:
    """A key one letter off, without its prefix, of an account that is not there, or a refresh token: all alike."""
    created = await admin.access.CreateServiceAccount(creating())
    secrets = server.application.identity.secrets
    flipped = created.key[:-3] + ("A" if created.key[-3] != "A" else "B") + created.key[-2:]
    wrong = (flipped, created.key[4:], created.key + "A", created.key[:-1], f"brr_{created.key[4:]}", "x", "é" * 200)
    answers = [
        await refusal(server.anonymous.access.ExchangeKey(exchanging(key)))
        for key in (*wrong, await secrets.service_key(uuid4()))
    ]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0].code, answers[0].reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    for key in ("", "x" * 201):
        refused = await refusal(server.anonymous.access.ExchangeKey(exchanging(key)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["key"])


async def caller(server: Running, key: str) -> Any:
    api = await signed_in(server, key)
    return await server.application.identity.tokens.caller_of(api.token or "")
