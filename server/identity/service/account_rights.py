"""Who may do something with an account: its person, or somebody who has a permission for that."""

from uuid import UUID

from server.frame.caller import Caller
from server.identity.errors import AccountNotPermitted


def account_for(caller: Caller, account_id: UUID | None, permission: str, *, permitted: bool) -> UUID:
    """The account that a call is about; raises AccountNotPermitted where it is another one, existing or not."""
    if account_id is None or account_id == caller.account_id:
        return caller.account_id
    if not permitted:
        raise AccountNotPermitted(permission=permission)
    return account_id
