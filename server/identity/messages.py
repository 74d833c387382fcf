"""identity's messages to plain values, and back."""

from backroom.identity.v1 import accounts_pb2
from server.frame.wire import timestamp
from server.identity.service import SignedIn
from storage.identity.records import Account


def user(account: Account) -> accounts_pb2.User:
    return accounts_pb2.User(
        user_id=str(account.id),
        email=account.email or "",
        display_name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
    )


def service_account(account: Account) -> accounts_pb2.ServiceAccount:
    return accounts_pb2.ServiceAccount(
        service_account_id=str(account.id),
        name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
    )


def tokens(signed_in: SignedIn) -> accounts_pb2.Tokens:
    return accounts_pb2.Tokens(
        access_token=signed_in.access_token,
        access_token_expire_time=timestamp(signed_in.access_token_expire_time),
        refresh_token=signed_in.refresh_token,
        refresh_token_expire_time=timestamp(signed_in.refresh_token_expire_time),
    )
