from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.identity.passwords import Passwords
from storage.database import Database
from storage.frame.records import Ask


class Recovery:
    """How an address is verified, and how one who forgot the password comes in again."""

    def __init__(
        self, database: Database, passwords: Passwords, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._now = now
        self._new_id = new_id

    async def send_verification(self, email: str, ask: Ask) -> None:
        raise NotImplementedError

    async def verify_email(self, token: str, ask: Ask) -> None:
        raise NotImplementedError

    async def request_reset(self, email: str, ask: Ask) -> None:
        raise NotImplementedError

    async def reset_password(self, token: str, new_password: str, ask: Ask) -> None:
        raise NotImplementedError
