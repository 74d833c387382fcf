from collections.abc import Mapping

from backroom.identity.v1 import accounts_pb2
from server.frame.wire import timestamp
from server.identity.service import SignedIn
from storage.identity.records import Account, ApiKey, Session

_LONGEST_AGENT = 200


def user(account: Account) -> accounts_pb2.User:
    return accounts_pb2.User(
        user_id=str(account.id),
        email=account.email or "",
        display_name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
        email_verify_time=timestamp(account.verify_time),
        disable_time=timestamp(account.disable_time),
    )


def service_account(account: Account) -> accounts_pb2.ServiceAccount:
    return accounts_pb2.ServiceAccount(
        service_account_id=str(account.id),
        name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
        disable_time=timestamp(account.disable_time),
    )


def key(found: ApiKey) -> accounts_pb2.Key:
    return accounts_pb2.Key(
        key_id=str(found.id),
        prefix=found.prefix,
        create_time=timestamp(found.create_time),
        expire_time=timestamp(found.expire_time),
        last_use_time=timestamp(found.last_use_time),
        service_account_id=str(found.account_id),
    )


def session(found: Session, *, current: bool) -> accounts_pb2.Session:
    return accounts_pb2.Session(
        session_id=str(found.id),
        create_time=timestamp(found.create_time),
        refresh_time=timestamp(found.refresh_time),
        expire_time=timestamp(found.expire_time),
        address=found.address,
        user_agent=found.user_agent,
        current=current,
    )


def tokens(signed_in: SignedIn) -> accounts_pb2.Tokens:
    return accounts_pb2.Tokens(
        access_token=signed_in.access_token,
        access_token_expire_time=timestamp(signed_in.access_token_expire_time),
        refresh_token=signed_in.refresh_token,
        refresh_token_expire_time=timestamp(signed_in.refresh_token_expire_time),
    )


def user_agent(metadata: Mapping[str, str | bytes]) -> str:
    """How the caller's program names itself."""
    sent = metadata.get("user-agent", "")
    return sent[:_LONGEST_AGENT] if isinstance(sent, str) else ""
