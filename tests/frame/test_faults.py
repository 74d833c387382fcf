"""Errors that leave a call without being a refusal."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from server.identity.service import Accounts
from storage.errors import AlreadyExists, StoreContention, StoreTimeout, StoreUnavailable
from tests.fixtures.servers import Api, Refused, Running, refusal
from tests.identity.people import log_of

SECRET = "s3cret-payload"


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes GetMe raise what it is called with."""

    def failing(error: BaseException) -> None:
        async def get(_self: object, _caller: object) -> None:
            raise error

        monkeypatch.setattr(Accounts, "get", get)

    return failing


async def answered(api: Api) -> Refused:
    return await refusal(api.identity.GetMe(identity_service_pb2.GetMeRequest()))


@pytest.mark.parametrize("kind", [ValueError, AlreadyExists, asyncio.CancelledError])
async def test_an_unexpected_error_is_internal_and_reveals_nothing(
    server: Running, customer: Api, fails: Any, kind: type[BaseException]
) -> None:
    """The caller gets only the call's id, under which the log says where it was raised, without the error's text."""
    fails(kind(SECRET))
    answer = await answered(customer)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert answer.retry_after is None
    (line,) = [line for line in await log_of(server) if line.get("fault")]
    assert answer.metadata == {"call_id": line["call_id"]}
    assert UUID(line["call_id"])
    assert line["fault"].startswith(kind.__name__)
    assert SECRET not in str(server.log) + str(answer)


async def test_a_problem_of_the_store_has_its_own_status(customer: Api, fails: Any) -> None:
    """A client then knows whether and when to retry."""
    told = {
        StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", 1.0),
        StoreContention: (grpc.StatusCode.ABORTED, "CONTENTION", 0.1),
        StoreTimeout: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", None),
        TimeoutError: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", None),
    }
    answers = {}
    for kind in told:
        fails(kind())
        answer = await answered(customer)
        answers[kind] = (answer.code, answer.reason, answer.retry_after)
    assert answers == told
