"""The key that demo, replay and bench sign in with, as an internal service does."""

import json
import secrets

import grpc

from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest, ExchangeKeyRequest
from backroom_client import AsyncBackroom, Password, Tls, refusal_of, request_id_for
from server.process.data_dir.private_file import stored_value, write_private
from server.process.failure import Failure
from server.settings import Settings

ROLE = "service"
ACCOUNT = "replay"
"""The service account that they act as; one of another role has that behind its name."""


async def service_key(configured: Settings, address: str, tls: Tls | None = None, *, role: str = ROLE) -> str:
    """The key to sign in with: the configured one, the one kept from the last time, or a new account's.

    `role` is the new account's.
    """
    name = ACCOUNT if role == ROLE else f"{ACCOUNT}-{role}"
    if configured.api_key:
        return configured.api_key
    kept = configured.data_dir / f"{name}.json"
    held = stored_value(kept, "key")
    if held is not None and await _signs_in(address, tls, held):
        return held
    key = await _new_key(configured, address, tls, name, role)
    write_private(kept, json.dumps({"name": name, "key": key}))
    return key


async def _new_key(configured: Settings, address: str, tls: Tls | None, name: str, role: str) -> str:
    admin = configured.data_dir / "admin.json"
    email, password = stored_value(admin, "email"), stored_value(admin, "password")
    if email is not None and password is not None:
        return await _key_by_admin(address, tls, Password(email, password), name, role)
    if configured.database_url:
        # It brings the whole server along, which takes a second to import and is seldom needed.
        from server.cli.admin import create_service_key

        return await create_service_key(f"{name}-{secrets.token_hex(3)}", [role])
    raise Failure(
        f"BACKROOM_API_KEY: is not set, and there is no {admin};"
        f" an admin of that server makes a key with: backroom admin create-service-account NAME --role {role}"
    )


async def _key_by_admin(address: str, tls: Tls | None, admin: Password, name: str, role: str) -> str:
    async with AsyncBackroom(address, admin, tls=tls) as backroom:
        # The first account of the name is made under a derived request_id: made again, it is the same one.
        for each in (name, f"{name}-{secrets.token_hex(3)}"):
            request = CreateServiceAccountRequest(
                request_id=request_id_for("service-account", each),
                service_account=accounts_pb2.ServiceAccount(name=each, roles=[role]),
            )
            try:
                return (await backroom.access.CreateServiceAccount(request)).secret
            except grpc.aio.AioRpcError as error:
                refusal = refusal_of(error)
                if refusal is None or refusal.reason != "NAME_TAKEN":
                    raise _failure(address, error) from None
    raise Failure(f"the server at {address} has accounts of every name that was tried; set BACKROOM_API_KEY")


async def _signs_in(address: str, tls: Tls | None, key: str) -> bool:
    async with AsyncBackroom(address, tls=tls) as backroom:
        try:
            await backroom.access.ExchangeKey(ExchangeKeyRequest(key=key), timeout=10)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise _failure(address, error) from None
    return True


def _failure(address: str, error: grpc.aio.AioRpcError) -> Failure:
    return Failure(f"{address}: {error.details()} ({error.code().name})")
