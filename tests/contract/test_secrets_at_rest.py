"""No secret that was handed out stands in the database, in no table and in no form."""

import base64
import binascii
from collections.abc import Iterator
from uuid import uuid4

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from backroom.webhooks.v1 import endpoints_pb2, webhook_service_pb2
from storage.database import Database
from storage.schema import METADATA
from tests.contract.methods import METHODS
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running, running
from tests.identity.people import NEW_PASSWORD, changing, kept, logged_in, logging_in, refreshed, registered

SHOWN_BY_MODULE = {
    "identity": {
        "IdentityService/ChangePassword",
        "IdentityService/Login",
        "IdentityService/Refresh",
        "IdentityService/ResetPassword",
        "AccessService/CreateServiceAccount",
        "AccessService/ExchangeKey",
        "AccessService/CreateKey",
    },
    "webhooks": {"WebhookService/CreateEndpoint", "WebhookService/RotateSecret"},
}
"""The methods below, whose answers hold secrets."""

PROVIDERS_BY_MODULE = {
    "commerce": {
        f"PaymentService/{name}"
        for name in ("CreatePayment", "ConfirmPayment", "GetPayment", "ListPayments", "RefundPayment")
    },
}
"""A payment's client_secret is the provider's, for the customer's browser, and forgotten once that has confirmed."""


def secrets_of(message: Message) -> Iterator[str]:
    """The values of the fields that the contract marks as secret, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated:
            yield from secrets_of(value)
        elif field.GetOptions().debug_redact:
            yield value


def _holds_secrets(kind: Descriptor) -> bool:
    return any(
        field.GetOptions().debug_redact or (field.message_type is not None and _holds_secrets(field.message_type))
        for field in kind.fields
        if field.message_type is None or field.message_type.file.package.startswith("backroom")
    )


def forms_of(secret: str) -> Iterator[str]:
    """As it is shown, without its prefix, and the bytes that it stands for, as a table shows bytes."""
    bare = secret.partition("_")[2] or secret
    yield bare
    yield secret.encode().hex()
    for part in bare.split("."):
        try:
            raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_" if "/" not in part else b"+/")
        except (ValueError, binascii.Error):
            continue
        if len(raw) >= 16:
            yield raw.hex()


def test_every_method_that_shows_a_secret_is_looked_at() -> None:
    """By the contract's own mark; a new one fails until it is."""
    showing = {
        f"{method.descriptor.containing_service.name}/{method.name}"
        for method in METHODS
        if _holds_secrets(method.descriptor.output_type)
    }
    assert showing == set().union(*SHOWN_BY_MODULE.values(), *PROVIDERS_BY_MODULE.values())


async def test_no_secret_that_was_shown_can_be_read_in_the_database(database: Database) -> None:
    """Whatever is kept of it is a hash, or sealed; that goes for answers that are given again, too."""
    # Of its own: the shared server has counted what other tests asked for from here.
    async with running(database) as server:
        await _look_for_secrets(server)


async def _look_for_secrets(server: Running) -> None:
    admin = await server.sign_in("admin")
    answers: list[Message] = await _identity_secrets(server, admin)
    creating = webhook_service_pb2.CreateEndpointRequest(
        request_id=str(uuid4()), endpoint=endpoints_pb2.Endpoint(url="https://example.com")
    )
    endpoint = await admin.webhooks.CreateEndpoint(creating)
    rotating = webhook_service_pb2.RotateSecretRequest(
        request_id=str(uuid4()), endpoint_id=endpoint.endpoint.endpoint_id
    )
    answers += [endpoint, await admin.webhooks.RotateSecret(rotating)]
    shown = [secret for answer in answers for secret in secrets_of(answer)]
    assert len(shown) == 12
    tables = {name: await kept(server.database, name) for name in METADATA.tables}
    found = {name for name, rows in tables.items() for secret in shown for form in forms_of(secret) if form in rows}
    assert found == set()


async def _identity_secrets(server: Running, admin: Api) -> list[Message]:
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
    owner = Api(server.channel, (await logged_in(server.anonymous, email, NEW_PASSWORD)).access_token)
    return [
        signed_in,
        reset,
        await owner.identity.ChangePassword(changing(NEW_PASSWORD, "yet another password of hers")),
        again,
        created,
        await admin.access.CreateKey(keying),
        exchanged,
    ]
