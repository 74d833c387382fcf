"""GetMe and ChangePassword, over the wire."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from tests.fixtures.roles import ROLES
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    changing,
    deleted,
    granting,
    kept,
    log_of,
    logged_in,
    logging_in,
    me,
    outcome,
    refreshing,
    registered,
)


@pytest.fixture
async def ada(server: Running) -> Api:
    """A person who registered and signed in."""
    user = await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    return Api(server.channel, tokens.access_token, UUID(user.user_id))


@pytest.fixture
async def till(server: Running, admin: Api) -> Api:
    """A service that signed in with its key."""
    request = access_service_pb2.CreateServiceAccountRequest(
        service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
    )
    created = await admin.access.CreateServiceAccount(request)
    token = await admin.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=created.secret))
    return Api(server.channel, token.access_token, UUID(created.service_account.service_account_id))


async def signs_in(server: Running, password: str) -> bool:
    try:
        await logged_in(server.anonymous, password=password)
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_person_gets_its_account(ada: Api) -> None:
    """The answer has the account, its roles and their permissions, in alphabetical order."""
    answer = await me(ada)
    assert answer.WhichOneof("caller") == "user"
    assert (answer.user.user_id, answer.user.email) == (str(ada.account_id), "ada@example.com")
    assert list(answer.permissions) == sorted(ROLES["customer"])


async def test_a_service_gets_its_account(till: Api) -> None:
    """As a service account, and never as a user without an address."""
    answer = await me(till)
    assert answer.WhichOneof("caller") == "service_account"
    assert (answer.service_account.service_account_id, answer.service_account.name) == (str(till.account_id), "till")
    assert list(answer.service_account.roles) == ["service"]
    assert list(answer.permissions) == sorted(ROLES["service"])


async def test_the_answer_has_the_current_roles(ada: Api, admin: Api) -> None:
    """There may be more of them than when the token was issued."""
    await admin.access.GrantRole(granting(ada.account_id, "staff"))
    answer = await me(ada)
    assert list(answer.user.roles) == ["customer", "staff"]
    assert list(answer.permissions) == sorted(ROLES["customer"] | ROLES["staff"])


async def test_the_token_of_a_deleted_account_is_no_longer_valid(server: Running, customer: Api) -> None:
    """A deleted account gets no answer."""
    await deleted(server.database, customer.account_id)
    refused = await refusal(me(customer))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_password_can_be_changed(server: Running, ada: Api) -> None:
    """From then on the new one signs in, and the old one does not."""
    await ada.identity.ChangePassword(changing())
    assert await signs_in(server, NEW_PASSWORD)
    assert not await signs_in(server, PASSWORD)


async def test_a_change_of_password_ends_the_persons_sessions(server: Running, ada: Api) -> None:
    """All of them, and no other account's."""
    await registered(server.anonymous, "bob@example.com")
    bobs = await logged_in(server.anonymous, "bob@example.com")
    sessions = [await logged_in(server.anonymous) for _ in range(2)]
    await ada.identity.ChangePassword(changing())
    for tokens in sessions:
        refused = await refusal(server.anonymous.identity.Refresh(refreshing(tokens.refresh_token)))
        assert refused.reason == "CREDENTIALS_INVALID"
    await server.anonymous.identity.Refresh(refreshing(bobs.refresh_token))
    await logged_in(server.anonymous, password=NEW_PASSWORD)


async def test_a_wrong_current_password_changes_nothing(server: Running, ada: Api) -> None:
    """The old one and the sessions remain valid, and the same request_id may be used with the right one."""
    tokens = await logged_in(server.anonymous)
    request = changing("not the password")
    refused = await refusal(ada.identity.ChangePassword(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert await signs_in(server, PASSWORD)
    await server.anonymous.identity.Refresh(refreshing(tokens.refresh_token))
    request.current_password = PASSWORD
    await ada.identity.ChangePassword(request)
    assert await signs_in(server, NEW_PASSWORD)


async def test_a_repeated_change_changes_nothing_more(server: Running, ada: Api) -> None:
    """It is answered as the first was, although the current password is no longer the one in the request."""
    request = changing()
    await ada.identity.ChangePassword(request)
    tokens = await logged_in(server.anonymous, password=NEW_PASSWORD)
    await Api(server.channel, tokens.access_token).identity.ChangePassword(request)
    await server.anonymous.identity.Refresh(refreshing(tokens.refresh_token))


async def test_the_request_id_of_a_change_is_bound_to_its_passwords(server: Running, ada: Api) -> None:
    """Another current or new password under it is refused, and not checked."""
    request = changing()
    await ada.identity.ChangePassword(request)
    tokens = await logged_in(server.anonymous, password=NEW_PASSWORD)
    ada_again = Api(server.channel, tokens.access_token)
    for current, new in ((PASSWORD, "another new password"), (NEW_PASSWORD, NEW_PASSWORD)):
        other = changing(current, new)
        other.request_id = request.request_id
        refused = await refusal(ada_again.identity.ChangePassword(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await signs_in(server, NEW_PASSWORD)


async def test_a_common_new_password_is_refused(server: Running, ada: Api) -> None:
    """The refusal names the field, and nothing is changed; the account's own address is refused too."""
    for new in ("letmeinletmein", "ada@example.com"):
        refused = await refusal(ada.identity.ChangePassword(changing(new=new)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_TOO_WEAK")
        assert list(refused.fields) == ["new_password"]
    assert await signs_in(server, PASSWORD)


async def test_a_token_ends_with_the_sessions_that_a_change_ends(ada: Api) -> None:
    """So does the token that made the change, within a second."""
    await ada.identity.ChangePassword(changing())
    await asyncio.sleep(1)
    assert await outcome(me(ada)) == "TOKEN_INVALID"


async def test_a_service_has_no_password_to_change(till: Api) -> None:
    """It is refused, whatever it sends."""
    refused = await refusal(till.identity.ChangePassword(changing()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PASSWORD_ABSENT")


async def test_a_new_password_has_the_same_bounds_as_the_first(server: Running, ada: Api) -> None:
    """11 and 129 characters are refused with the field's name, and nothing is changed."""
    for length in (11, 129):
        refused = await refusal(ada.identity.ChangePassword(changing(new="x" * length)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["new_password"])
    assert await signs_in(server, PASSWORD)


async def test_no_changed_password_is_stored_or_logged(server: Running, ada: Api) -> None:
    """The kept answer has a keyed digest of it, and the log has neither."""
    await ada.identity.ChangePassword(changing())
    everywhere = [
        await kept(server.database, "identity.accounts"),
        await kept(server.database, "frame.request_ids"),
        str(await log_of(server)),
    ]
    assert not [place for place in everywhere for password in (PASSWORD, NEW_PASSWORD) if password in place]


async def test_changing_a_password_needs_a_token(server: Running) -> None:
    """Without one there is no account to change."""
    refused = await refusal(server.anonymous.identity.ChangePassword(changing()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_login_with_the_old_password_is_refused_like_any_other(server: Running, ada: Api) -> None:
    """As if it had never been valid."""
    await ada.identity.ChangePassword(changing())
    old = await refusal(server.anonymous.identity.Login(logging_in()))
    never = await refusal(server.anonymous.identity.Login(logging_in(password="never a password")))
    assert old == never


async def test_an_empty_body_is_accepted_if_none_is_needed(ada: Api) -> None:
    """GetMe takes no fields, and unknown fields of a newer client do no harm."""
    method: Any = ada.channel.unary_unary(
        "/backroom.identity.v1.IdentityService/GetMe",
        response_deserializer=identity_service_pb2.GetMeResponse.FromString,
    )
    metadata = (("authorization", f"Bearer {ada.token}"),)
    assert (await method(b"", metadata=metadata)).user.email == "ada@example.com"
    assert (await method(b"\x98\x06\x01", metadata=metadata)).user.email == "ada@example.com"
