from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from pydantic import BaseModel, Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.peers.usual.event_models import IngestedEvent
from bench.peers.usual.security import Caller, get_caller

router = APIRouter(prefix="/events", tags=["events"])


class EventIn(BaseModel):
    source: str = Field(min_length=1, max_length=200)
    event_id: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=100)
    subject: str = Field(default="", max_length=200)
    time: datetime
    data: Any = None


class Taken(BaseModel):
    stored: int
    duplicates: int


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield session


@router.post("")
async def ingest(
    events: Annotated[list[EventIn], Field(max_length=5_000)],
    _: Annotated[Caller, Security(get_caller, scopes=["events.write"])],
    session: Annotated[AsyncSession, Depends(get_session, scope="function")],
) -> Taken:
    async with session.begin():
        statement = insert(IngestedEvent).on_conflict_do_nothing().returning(IngestedEvent.event_id)
        found = await session.execute(statement, [event.model_dump() for event in events])
        stored = len(found.all())
    return Taken(stored=stored, duplicates=len(events) - stored)
