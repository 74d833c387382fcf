"""Refusals become statuses here, and whatever else rises becomes INTERNAL without a word of ours."""

import asyncio
from typing import Any

import grpc
from grpc_status import rpc_status

from server.frame.call import Call
from server.frame.errors import DeadlineExceeded, Internal, Refusal
from server.frame.interceptors.base import Behavior, Method
from server.frame.log import described
from server.frame.statuses import refusal_of, status_of
from storage.errors import StoreError


class Refusals:
    """Around all that decides, so that nothing rises past it to where gRPC would answer with the error's text."""

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        async def guarded(request: Any, call: Call) -> Any:
            try:
                return await proceed(request, call)
            except grpc.aio.AbortError:
                raise  # a standard service has answered by itself
            except asyncio.CancelledError as error:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise  # the caller has gone
                # A stray one would leave the caller waiting for an answer that never comes.
                await _fail(call, error)
            except Exception as error:  # noqa: BLE001 - nothing may rise further
                await _answer(call, error)

        return guarded


async def _answer(call: Call, error: Exception) -> None:
    if isinstance(error, Refusal):
        await _refuse(call, error)
    elif isinstance(error, StoreError):
        await _refuse(call, refusal_of(error))
    elif isinstance(error, TimeoutError):
        await _refuse(call, DeadlineExceeded())
    else:
        await _fail(call, error)


async def _refuse(call: Call, refusal: Refusal) -> None:
    call.refused_for = refusal.reason
    status = rpc_status.to_status(status_of(refusal))
    await call.abort(status.code, status.details, status.trailing_metadata)


async def _fail(call: Call, error: BaseException) -> None:
    call.fault = described(error)
    await _refuse(call, Internal(call_id=call.id))
