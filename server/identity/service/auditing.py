from typing import Any

from storage.database import Database


class Auditing:
    """The record of who changed what, and the proof that it is whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_latest(self, wanted: Any, *, before: Any, limit: int) -> Any:
        raise NotImplementedError

    async def verify(self, after_position: int, limit: int, anchor: Any) -> Any:
        raise NotImplementedError
