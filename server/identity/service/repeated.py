from typing import TypeVar

from server.frame.repeating import decoded, first_answer
from storage.database import Database
from storage.frame.records import Ask

Answer = TypeVar("Answer")


async def repeated(database: Database, ask: Ask, kind: type[Answer]) -> Answer | None:
    """The answer that this request had when it came before, for what is counted, or costs much, before it is done.

    None where it is new, or just being answered: `once` decides that. Raises RequestIdReused.
    """
    if ask.key is None:
        return None
    async with database.reading() as tx:
        earlier = await tx.requests.find(ask.key.scope)
    return decoded(kind, first_answer(earlier, ask.key)) if earlier else None
