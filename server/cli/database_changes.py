"""What a command changes on the database itself, and what is recorded of it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from server import settings
from server.frame.errors import Refusal
from server.frame.module import now
from server.frame.sealing import MasterKeys, SealBroken
from server.identity.credentials.keys import MasterKeyWrong
from server.process.data_dir.master_key import master_keys, wrong_master_key
from server.process.database import migrated_database
from server.process.failure import Failure
from storage.database import Database
from storage.frame.records import NOBODY, ChangeContext

Result = TypeVar("Result")


def command_context(command: str) -> ChangeContext:
    """That a command, such as "keys rotate", asks: who has the database and its keys is not asked for a name."""
    return ChangeContext(NOBODY, f"backroom {command}", now())


async def change_database(act: Callable[[Database, MasterKeys], Awaitable[Result]]) -> Result:
    """Acts on the database that the settings name; raises Failure where that is refused, or the master key is wrong."""
    configured = settings.read()
    keys = master_keys(configured)
    async with migrated_database(configured, audit_key=keys.audit_key, issuer=configured.issuer) as database:
        try:
            return await act(database, keys)
        except Refusal as refusal:
            raise Failure(refusal.message()) from None
        except (MasterKeyWrong, SealBroken):
            raise wrong_master_key(configured) from None
