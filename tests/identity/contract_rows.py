"""What the contract's tests need to know of identity."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import jwt
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, account_service_pb2, accounts_pb2, identity_service_pb2, roles_pb2
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    changing,
    granting,
    logging_in,
    refreshed,
    registered,
    registering,
    revoking,
)
from tests.identity.people import logged_in as tokens_of


async def come_in(scenario: Scenario) -> None:
    """A person, from registering to a forgotten password."""
    anonymous, pb, email = scenario.anonymous, identity_service_pb2, "ada@example.com"
    registered = await scenario.change(anonymous, "Register", registering(email), "account/{answer.user.user_id}")
    ada = UUID(registered.user.user_id)
    account = f"account/{ada}"
    await scenario.token(email)
    mail = pb.SendEmailVerificationRequest(request_id=fresh(), email=email)
    # Until an address is verified, it belongs to no account: each registration with it is pending separately.
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
    """The entry of a login names the account, although the call started without one."""
    login = logging_in(email, password)
    answer = await scenario.change(
        scenario.anonymous, "Login", login, lambda answer: session_of(answer.tokens), caller=owner
    )
    return Api(scenario.shop.server.channel, answer.tokens.access_token, owner)


def session_of(tokens: accounts_pb2.Tokens) -> str:
    """The session that an access token was issued for, as a resource."""
    return f"session/{jwt.decode(tokens.access_token, options={'verify_signature': False})['sid']}"


async def sessions(scenario: Scenario, ada: UUID, email: str, password: str) -> None:
    """How sessions continue, and each way in which one ends."""
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
    """Roles, and accounts that have them."""
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
    """A service's keys, and whether it may sign in at all."""
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


async def end(scenario: Scenario) -> None:
    """An account's handle, its data, and its deletion."""
    admin, pb = scenario.admin, account_service_pb2
    somebody = str((await scenario.shop.server.sign_in("customer")).account_id)
    account = f"account/{somebody}"
    handle = pb.SetHandleRequest(request_id=fresh(), account_id=somebody, handle="Somebody")
    await scenario.change(admin, "SetHandle", handle, account)
    export = pb.ExportAccountRequest(request_id=fresh(), account_id=somebody)
    await scenario.change(admin, "ExportAccount", export, account)
    delete = pb.DeleteAccountRequest(request_id=fresh(), account_id=somebody)
    await scenario.change(admin, "DeleteAccount", delete, account)


async def owned(server: Running, owner: Api) -> Mapping[str, str]:
    """The account itself, and the session, or the key, that its token was issued for."""
    said = await server.application.identity.tokens.verified(owner.token or "")
    return {"session": str(said.issued_for), "account": str(owner.account_id)}


async def secret_answers(server: Running, admin: Api) -> Sequence[Message]:
    email = f"{uuid4().hex}@example.com"
    await registered(server.anonymous, email)
    signed_in = await server.anonymous.identity.Login(logging_in(email))
    tokens = signed_in.tokens
    creating = access_service_pb2.CreateServiceAccountRequest(
        request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name=f"till-{uuid4().hex}")
    )
    created = await admin.access.CreateServiceAccount(creating)
    keying = access_service_pb2.CreateKeyRequest(
        request_id=str(uuid4()), key=accounts_pb2.Key(service_account_id=created.service_account.service_account_id)
    )
    exchanged = await server.anonymous.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=created.secret))
    again = identity_service_pb2.RefreshResponse(tokens=await refreshed(server.anonymous, tokens.refresh_token))
    asking = identity_service_pb2.RequestPasswordResetRequest(email=email)
    await server.anonymous.identity.RequestPasswordReset(asking)
    resetting = identity_service_pb2.ResetPasswordRequest(
        token=await token_for(server.mailbox, email), new_password=NEW_PASSWORD
    )
    reset = await server.anonymous.identity.ResetPassword(resetting)
    owner = Api(server.channel, (await tokens_of(server.anonymous, email, NEW_PASSWORD)).access_token)
    return [
        signed_in,
        reset,
        await owner.identity.ChangePassword(changing(NEW_PASSWORD, "yet another password of hers")),
        again,
        created,
        await admin.access.CreateKey(keying),
        exchanged,
    ]


ROWS = ContractRows(
    changes=(come_in, govern, end),
    everyones={
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
            "access.manage reaches every account; what holds more than the caller is refused as such, as the contract"
            " says",
        ),
        ("AuditService/ListAuditEvents", "caller_id"): "audit.read reaches the whole record",
        ("AccountService/GetProfile", "account_id"): "a profile is for everybody who is signed in",
        ("AccountService/GetAccountDeletion", "account_id"): "accounts.manage reaches every deletion",
        ("AccountService/DeleteAccount", "transfer_to_account_id"): "anybody may be the successor, who proved the own"
        " password before it is looked up",
    },
    own={
        ("IdentityService/RevokeSession", "session_id"): "session",
        **dict.fromkeys(
            [
                ("AccountService/SetHandle", "account_id"),
                ("AccountService/DeleteAccount", "account_id"),
                ("AccountService/ExportAccount", "account_id"),
            ],
            "account",
        ),
    },
    owned=owned,
    shows_secrets=frozenset(
        {
            "IdentityService/ChangePassword",
            "IdentityService/Login",
            "IdentityService/Refresh",
            "IdentityService/ResetPassword",
            "AccessService/CreateServiceAccount",
            "AccessService/ExchangeKey",
            "AccessService/CreateKey",
        }
    ),
    secret_answers=secret_answers,
)
