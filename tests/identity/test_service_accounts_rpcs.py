"""Service accounts and their keys, over the wire."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.frame.module import now
from server.identity.credentials.secrets import key_hash
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE
from storage.identity.repository import ApiKeyReader
from tests.fixtures.processes import Pair
from tests.fixtures.roles import ROLES
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.access_cache import within_a_second
from tests.identity.people import Clock, execute, granting, kept, log_of, me, outcome, registering
from tests.identity.test_keys import rotated


def creating(name: str = "till", *roles: str, **rest: Any) -> access_service_pb2.CreateServiceAccountRequest:
    account = accounts_pb2.ServiceAccount(name=name, roles=roles or ("service",))
    values = {"request_id": str(uuid4()), "service_account": account}
    return access_service_pb2.CreateServiceAccountRequest(**{**values, **rest})


def exchanging(key: str) -> access_service_pb2.ExchangeKeyRequest:
    return access_service_pb2.ExchangeKeyRequest(key=key)


async def signed_in(server: Running, key: str) -> Api:
    token = await server.anonymous.access.ExchangeKey(exchanging(key))
    return Api(server.channel, token.access_token)


async def test_a_service_account_is_created_with_a_key(server: Running, admin: Api) -> None:
    """The key signs it in."""
    created = await admin.access.CreateServiceAccount(creating())
    account = created.service_account
    assert (account.name, list(account.roles)) == ("till", ["service"])
    assert UUID(account.service_account_id).version == 7
    answer = await me(await signed_in(server, created.secret))
    assert answer.service_account == account
    assert set(answer.permissions) == ROLES["service"]


async def test_a_service_account_gets_the_requested_roles(admin: Api) -> None:
    """In alphabetical order; none if none is named."""
    created = await admin.access.CreateServiceAccount(creating("till", "staff", "customer"))
    assert list(created.service_account.roles) == ["customer", "staff"]
    nothing = access_service_pb2.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="idle"))
    assert not (await admin.access.CreateServiceAccount(nothing)).service_account.roles


async def test_only_a_hash_of_the_key_is_stored(server: Running, admin: Api) -> None:
    """With its first characters; neither the kept answers nor the record nor the log have it."""
    created = await admin.access.CreateServiceAccount(creating())
    await signed_in(server, created.secret)
    keys = await kept(server.database, "identity.api_keys")
    assert key_hash(created.secret).hex() in keys
    assert f'"{created.secret[:12]}"' in keys
    tables = ("identity.accounts", "frame.request_ids", "frame.audit_entries")
    for place in (keys, *[await kept(server.database, table) for table in tables], str(await log_of(server))):
        assert created.secret.removeprefix("brk_") not in place


async def test_a_repeated_request_returns_the_same_account_and_the_same_key(server: Running, admin: Api) -> None:
    """A lost answer loses no key, and there is one account."""
    request = creating("till", "staff")
    first = await admin.access.CreateServiceAccount(request)
    again = await admin.access.CreateServiceAccount(request)
    assert again == first
    assert again.secret == first.secret
    assert (await kept(server.database, "identity.accounts")).count('"till"') == 1


async def test_a_request_id_is_bound_to_one_account(admin: Api) -> None:
    """Another name or other roles under it are refused."""
    request = creating("till", "staff")
    await admin.access.CreateServiceAccount(request)
    for other in (creating("kiosk", "staff"), creating("till"), creating("till", "staff", "customer")):
        other.request_id = request.request_id
        refused = await refusal(admin.access.CreateServiceAccount(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_a_name_belongs_to_one_service(server: Running, admin: Api) -> None:
    """The second is refused, and the first one's key remains valid."""
    created = await admin.access.CreateServiceAccount(creating())
    refused = await refusal(admin.access.CreateServiceAccount(creating()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN")
    assert (await me(await signed_in(server, created.secret))).service_account == created.service_account


async def test_a_persons_name_does_not_take_a_service_name(server: Running, admin: Api) -> None:
    """People and services are named separately."""
    await server.anonymous.identity.Register(registering(display_name="till"))
    assert (await admin.access.CreateServiceAccount(creating("till"))).secret


async def test_unknown_roles_create_nothing(server: Running, admin: Api) -> None:
    """The first unknown one is named, before the name is checked."""
    await admin.access.CreateServiceAccount(creating("taken"))
    before = await kept(server.database, "identity.accounts")
    for name in ("till", "taken"):
        refused = await refusal(admin.access.CreateServiceAccount(creating(name, "staff", "wizard")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "ROLE_NOT_FOUND")
        assert refused.metadata == {"role": "wizard"}
    assert await kept(server.database, "identity.accounts") == before


async def test_names_are_bounded(admin: Api) -> None:
    """One to 64 of the allowed characters, with neither a dot nor a dash at an end."""
    for name in ("a", "a" * 64, "9", "shop.till-1"):
        assert (await admin.access.CreateServiceAccount(creating(name))).service_account.name == name
    for name in ("", "a" * 65, "Till", "till ", "till\n", "-till", "till.", "tïll", "till\0"):
        refused = await refusal(admin.access.CreateServiceAccount(creating(name)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["service_account.name"]), name


async def test_roles_are_bounded(admin: Api) -> None:
    """A duplicate, an empty one, or more than twenty are refused with the field's name."""
    for roles in (["staff", "staff"], ["staff", ""], [f"role{place}" for place in range(21)]):
        refused = await refusal(admin.access.CreateServiceAccount(creating("till", *roles)))
        assert refused.reason == "FIELD_INVALID"
        assert all(field.startswith("service_account.roles") for field in refused.fields)


async def test_creating_service_accounts_needs_the_permission(server: Running, service: Api) -> None:
    """A service cannot create another one."""
    refused = await refusal(service.access.CreateServiceAccount(creating()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert '"till"' not in await kept(server.database, "identity.accounts")


async def test_a_key_can_be_exchanged_repeatedly(timed: Running, clock: Clock) -> None:
    """Each exchange returns another token of fifteen minutes, and opens no session."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    before = await kept(timed.database, "identity.sessions"), await kept(timed.database, "frame.request_ids")
    answers = [await timed.anonymous.access.ExchangeKey(exchanging(created.secret)) for _ in range(2)]
    assert answers[0].access_token != answers[1].access_token
    for answer in answers:
        life = answer.expire_time.ToDatetime(UTC) - clock()
        assert timedelta(0) <= ACCESS_TOKEN_LIFE - life < timedelta(seconds=1)
    after = await kept(timed.database, "identity.sessions"), await kept(timed.database, "frame.request_ids")
    assert after == before


async def test_a_key_gives_the_current_roles(server: Running, admin: Api) -> None:
    """A grant counts at the next exchange at the latest."""
    created = await admin.access.CreateServiceAccount(creating())
    account_id = created.service_account.service_account_id
    assert "users.list" not in (await me(await signed_in(server, created.secret))).permissions
    await admin.access.GrantRole(granting(account_id, "manager"))
    await server.application.identity.access_cache.poll()
    assert "users.list" in (await me(await signed_in(server, created.secret))).permissions


async def test_a_wrong_key_signs_nobody_in(server: Running, admin: Api) -> None:
    """A key with one wrong letter, without its prefix, of a missing account, or a refresh token: all alike."""
    created = await admin.access.CreateServiceAccount(creating())
    making = await server.application.identity.secrets.key_making(now())
    right = created.secret
    flipped = right[:-3] + ("A" if right[-3] != "A" else "B") + right[-2:]
    wrong = (flipped, right[4:], right + "A", right[:-1], f"brr_{right[4:]}", "x", "é" * 200)
    nobodys = (making.key(uuid4()), "brk_" + "A" * 27, "brk_" + "é" * 27)
    answers = [await refusal(server.anonymous.access.ExchangeKey(exchanging(key))) for key in (*wrong, *nobodys)]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0].code, answers[0].reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    for key in ("", "x" * 201):
        refused = await refusal(server.anonymous.access.ExchangeKey(exchanging(key)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["key"])


async def test_a_mistyped_key_costs_no_statement(server: Running, admin: Api) -> None:
    """Its checksum is wrong, so guesses do not cause queries."""
    created = await admin.access.CreateServiceAccount(creating())
    find_by_hash = ApiKeyReader.find_by_hash
    looks: list[bytes] = []

    async def finding(self: ApiKeyReader, hashed: bytes) -> object:
        looks.append(hashed)
        return await find_by_hash(self, hashed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ApiKeyReader, "find_by_hash", finding)
        await refusal(server.anonymous.access.ExchangeKey(exchanging(created.secret[:-1] + "_")))
        assert looks == []
        await signed_in(server, created.secret)
        assert looks == [key_hash(created.secret)]


async def test_a_key_of_an_earlier_version_works(server: Running, admin: Api) -> None:
    """It has no checksum, and is exchanged as before."""
    created = await admin.access.CreateServiceAccount(creating())
    earlier = "brk_" + "q-_A" * 6 + "abc"
    account_id = created.service_account.service_account_id
    await execute(
        server.database,
        "UPDATE identity.api_keys SET hash = :hash, prefix = 'brk_' WHERE account_id = :id",
        hash=key_hash(earlier),
        id=UUID(account_id),
    )
    assert (await me(await signed_in(server, earlier))).service_account.service_account_id == account_id


async def test_a_repeated_request_returns_the_same_key_after_rotations(timed: Running, clock: Clock) -> None:
    """Whichever keys derive now; and the key remains valid."""
    boss = await timed.sign_in("admin")
    request = creating()
    created = await boss.access.CreateServiceAccount(request)
    asking = access_service_pb2.CreateKeyRequest(
        request_id=str(uuid4()), key=accounts_pb2.Key(service_account_id=created.service_account.service_account_id)
    )
    made = await boss.access.CreateKey(asking)
    await rotated(timed.database, clock)
    await timed.application.identity.keys.load()
    assert await boss.access.CreateServiceAccount(request) == created
    assert await boss.access.CreateKey(asking) == made
    for key in (created.secret, made.secret):
        assert (await timed.anonymous.access.ExchangeKey(exchanging(key))).access_token


async def test_a_disabled_account_and_a_wrong_key_are_answered_alike(timed: Running, clock: Clock) -> None:
    """So are a deleted and an expired key: one code, one text."""
    boss = await timed.sign_in("admin")
    disabled, ended, expired = [await boss.access.CreateServiceAccount(creating(f"till{place}")) for place in range(3)]
    disabling = access_service_pb2.DisableAccountRequest(account_id=disabled.service_account.service_account_id)
    await boss.access.DisableAccount(disabling)
    (key,) = await keys_of(boss, ended)
    await boss.access.DeleteKey(access_service_pb2.DeleteKeyRequest(key_id=key.key_id))
    brief = await boss.access.CreateKey(keying(expired, expire_time=clock() + timedelta(minutes=1)))
    assert (await timed.anonymous.access.ExchangeKey(exchanging(brief.secret))).access_token
    clock.advance(minutes=1)
    wrong = await refusal(timed.anonymous.access.ExchangeKey(exchanging("brk_" + "A" * 27)))
    for secret in (disabled.secret, ended.secret, brief.secret):
        assert await refusal(timed.anonymous.access.ExchangeKey(exchanging(secret))) == wrong
    assert (await timed.anonymous.access.ExchangeKey(exchanging(expired.secret))).access_token


async def test_a_token_does_not_outlive_its_key(timed: Running, clock: Clock) -> None:
    """It ends with a key that ends before the fifteen minutes are over."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    end = clock() + timedelta(minutes=3)
    brief = await boss.access.CreateKey(keying(created, expire_time=end))
    answer = await timed.anonymous.access.ExchangeKey(exchanging(brief.secret))
    assert timedelta(0) <= end - answer.expire_time.ToDatetime(UTC) < timedelta(seconds=1)
    api = Api(timed.channel, answer.access_token)
    await me(api)
    clock.time = end
    assert (await refusal(api.identity.GetMe(identity_service_pb2.GetMeRequest()))).reason == "TOKEN_INVALID"


async def test_a_key_is_replaced_without_a_gap(server: Running, admin: Api) -> None:
    """An account can have two: both sign in, and a third is refused until one has ended."""
    created = await admin.access.CreateServiceAccount(creating())
    (first,) = await keys_of(admin, created)
    assert first.key_id == created.service_account.service_account_id
    assert first.prefix == created.secret[:12]
    made = await admin.access.CreateKey(keying(created))
    assert [key.key_id for key in await keys_of(admin, created)] == [first.key_id, made.key.key_id]
    for key in (created.secret, made.secret):
        assert (await me(await signed_in(server, key))).service_account == created.service_account
    refused = await refusal(admin.access.CreateKey(keying(created)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_KEYS")
    deleting = access_service_pb2.DeleteKeyRequest(key_id=first.key_id)
    for _ in range(2):
        await admin.access.DeleteKey(deleting)
    assert [key.key_id for key in await keys_of(admin, created)] == [made.key.key_id]
    ended = await refusal(server.anonymous.access.ExchangeKey(exchanging(created.secret)))
    assert ended.reason == "CREDENTIALS_INVALID"
    assert (await admin.access.CreateKey(keying(created))).secret != made.secret


async def test_an_expired_key_does_not_count(timed: Running, clock: Clock) -> None:
    """It is no longer listed, and two others are allowed."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    await boss.access.CreateKey(keying(created, expire_time=clock() + timedelta(seconds=1)))
    assert len(await keys_of(boss, created)) == 2
    clock.advance(seconds=1)
    assert len(await keys_of(boss, created)) == 1
    assert (await boss.access.CreateKey(keying(created))).secret


@pytest.mark.slow
async def test_a_token_of_a_deleted_key_ends_within_a_second(pair: Pair) -> None:
    """On every server, whichever deleted it; the other key's token remains valid."""
    one, two = await pair.sign_in("admin")
    created = await one.access.CreateServiceAccount(creating())
    made = await one.access.CreateKey(keying(created))
    exchanged = [await two.access.ExchangeKey(exchanging(key)) for key in (created.secret, made.secret)]
    old, new = [[Api(channel, each.access_token) for channel in pair.channels] for each in exchanged]
    for api in (*old, *new):
        await me(api)
    (first, _) = await keys_of(one, created)
    await one.access.DeleteKey(access_service_pb2.DeleteKeyRequest(key_id=first.key_id))

    async def outcomes() -> list[str]:
        return [await outcome(api.identity.GetMe(identity_service_pb2.GetMeRequest())) for api in old]

    await within_a_second(outcomes, ["TOKEN_INVALID"] * 2)
    for api in new:
        await me(api)


async def test_the_last_use_is_shown_to_the_minute(timed: Running, clock: Clock) -> None:
    """Absent until then, and written once a minute however often the key is used, with the address."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    (key,) = await keys_of(boss, created)
    assert not key.HasField("last_use_time")
    for _ in range(3):
        for _ in range(4):
            await timed.anonymous.access.ExchangeKey(exchanging(created.secret))
        (key,) = await keys_of(boss, created)
        assert key.last_use_time.ToDatetime(UTC) == clock().replace(second=0, microsecond=0)
        clock.advance(seconds=60)
    recorded = await kept(timed.database, "frame.audit_entries")
    assert recorded.count("AccessService/ExchangeKey") == 3


async def test_an_expiry_in_the_past_is_refused(timed: Running, clock: Clock) -> None:
    """With the field's name; but a repeated request gets its first answer, however late."""
    boss = await timed.sign_in("admin")
    created = await boss.access.CreateServiceAccount(creating())
    for end in (clock(), clock() - timedelta(days=1)):
        refused = await refusal(boss.access.CreateKey(keying(created, expire_time=end)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["key.expire_time"])
    request = keying(created, expire_time=clock() + timedelta(minutes=1))
    made = await boss.access.CreateKey(request)
    clock.advance(minutes=2)
    assert await boss.access.CreateKey(request) == made
    never = access_service_pb2.CreateKeyRequest(key=accounts_pb2.Key(service_account_id=str(uuid4())))
    never.key.expire_time.seconds = 253_402_300_800
    refused = await refusal(boss.access.CreateKey(never))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["key.expire_time"])


async def test_only_service_accounts_have_keys(admin: Api, customer: Api) -> None:
    """A person's id is refused like one that does not exist."""
    for account_id in (str(customer.account_id), str(uuid4())):
        listing = access_service_pb2.ListKeysRequest(service_account_id=account_id)
        making = access_service_pb2.CreateKeyRequest(key=accounts_pb2.Key(service_account_id=account_id))
        for call in (admin.access.ListKeys(listing), admin.access.CreateKey(making)):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
            assert refused.metadata == {"account_id": account_id}
    refused = await refusal(admin.access.DeleteKey(access_service_pb2.DeleteKeyRequest(key_id=str(uuid4()))))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "KEY_NOT_FOUND")


async def test_no_caller_creates_or_deletes_a_key_with_more_permissions(server: Running, admin: Api) -> None:
    """Someone who manages access but has few permissions cannot take over an account with more, nor create one."""
    role = access_service_pb2.CreateRoleRequest()
    role.role.name = "gatekeeper"
    role.role.permissions.extend(["access.manage", "catalog.read"])
    await admin.access.CreateRole(role)
    gatekeeper = await server.sign_in("gatekeeper")
    strong = await admin.access.CreateServiceAccount(creating("strong", "admin"))
    (key,) = await keys_of(admin, strong)
    for call in (
        gatekeeper.access.CreateServiceAccount(creating("mine", "admin")),
        gatekeeper.access.CreateServiceAccount(creating("mine")),
        gatekeeper.access.CreateKey(keying(strong)),
        gatekeeper.access.DeleteKey(access_service_pb2.DeleteKeyRequest(key_id=key.key_id)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_NOT_HELD")
    weak = await gatekeeper.access.CreateServiceAccount(creating("weak", "gatekeeper"))
    made = await gatekeeper.access.CreateKey(keying(weak))
    await gatekeeper.access.DeleteKey(access_service_pb2.DeleteKeyRequest(key_id=made.key.key_id))
    assert len(await keys_of(admin, strong)) == len(await keys_of(admin, weak)) == 1


def keying(
    created: access_service_pb2.CreateServiceAccountResponse, *, expire_time: datetime | None = None
) -> access_service_pb2.CreateKeyRequest:
    account_id = created.service_account.service_account_id
    request = access_service_pb2.CreateKeyRequest(
        request_id=str(uuid4()), key=accounts_pb2.Key(service_account_id=account_id)
    )
    if expire_time is not None:
        request.key.expire_time.FromDatetime(expire_time)
    return request


async def keys_of(api: Api, created: access_service_pb2.CreateServiceAccountResponse) -> list[accounts_pb2.Key]:
    request = access_service_pb2.ListKeysRequest(service_account_id=created.service_account.service_account_id)
    return list((await api.access.ListKeys(request)).keys)
