from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Security, status
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.peers.usual.booking import BookingIn, BookingOut, BookingService
from bench.peers.usual.placing import Call
from bench.peers.usual.security import Caller, get_caller

router = APIRouter(prefix="/bookings", tags=["bookings"])


async def get_booking_service(request: Request) -> AsyncIterator[BookingService]:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield BookingService(session)


async def get_booking_call(
    request: Request, caller: Annotated[Caller, Security(get_caller, scopes=["bookings.book"])]
) -> Call:
    address = request.client.host if request.client else ""
    return Call(caller, uuid4(), address, datetime.now(UTC))


# With the function's scope, the connection returns to the pool before the response is sent.
Bookings = Annotated[BookingService, Depends(get_booking_service, scope="function")]


@router.post("", status_code=status.HTTP_201_CREATED)
async def book(asked: BookingIn, call: Annotated[Call, Depends(get_booking_call)], bookings: Bookings) -> BookingOut:
    return await bookings.book(asked, call)
