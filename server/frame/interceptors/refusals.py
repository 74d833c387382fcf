"""Refusals become statuses here, and whatever else rises becomes INTERNAL without a word of ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_status import rpc_status

from server.frame.call import Call
from server.frame.errors import DeadlineExceeded, Internal, Refusal
from server.frame.faults import described
from server.frame.interceptors.base import Handler, Interceptor
from server.frame.statuses import refusal_of, status_of
from storage.errors import StoreError


class Refusals(Interceptor):
    """Around all that decides, so that nothing rises past it to where gRPC would answer with the error's text."""

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        try:
            yield
        except grpc.aio.AbortError:
            raise  # a standard service has answered by itself
        except Refusal as refusal:
            await _refuse(call, refusal)
        except StoreError as error:
            await _refuse(call, refusal_of(error))
        except TimeoutError:
            await _refuse(call, DeadlineExceeded())
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) and task.cancelling():
                raise  # the caller has gone
            # A stray one would leave the caller waiting for an answer that never comes.
            await _fail(call, error)
        except Exception as error:  # noqa: BLE001 - nothing may rise further
            await _fail(call, error)


async def _refuse(call: Call, refusal: Refusal) -> None:
    call.refused_for = refusal.reason
    status = rpc_status.to_status(status_of(refusal))
    await call.abort(status.code, status.details, status.trailing_metadata)


async def _fail(call: Call, error: BaseException) -> None:
    call.fault = described(error)
    await _refuse(call, Internal(request_id=call.id))
