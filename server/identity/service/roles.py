from collections.abc import Callable, Sequence
from datetime import datetime

from server.frame.caller import Caller
from server.identity.rules.roles import KnownRole, RoleDraft, RoleEdit
from storage.database import Database
from storage.frame.records import Ask


class Roles:
    """What may be granted."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def create(self, caller: Caller, draft: RoleDraft, ask: Ask) -> KnownRole:
        raise NotImplementedError

    async def get(self, name: str) -> KnownRole:
        raise NotImplementedError

    async def list_by_name(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[KnownRole]:
        """Behind a key of (0 for built in and 1 for made, name)."""
        raise NotImplementedError

    async def edit(self, caller: Caller, edit: RoleEdit, ask: Ask) -> KnownRole:
        raise NotImplementedError

    async def delete(self, caller: Caller, name: str, ask: Ask, *, force: bool) -> None:
        raise NotImplementedError
