"""How readiness reacts to a lost connection."""

from typing import Any

import structlog

from server.frame.health import Health
from storage.errors import StoreUnavailable
from storage.problems import DatabaseProblem, ProblemKind
from tests.fixtures.servers import keep_in

LOST = StoreUnavailable(DatabaseProblem(ProblemKind.LOST, "terminating connection"))
ABSENT = StoreUnavailable(DatabaseProblem(ProblemKind.ABSENT, "Connection refused"))


async def looked(*answers: StoreUnavailable | None) -> tuple[str | None, list[str]]:
    """Why a server is not ready when its database gives these answers in turn, and what is logged."""
    lines: list[dict[str, Any]] = []
    left = list(answers)

    async def unready_reason() -> str | None:
        answer = left.pop(0)
        if answer is not None:
            raise answer
        return None

    logger = structlog.wrap_logger(None, [keep_in(lines)], structlog.make_filtering_bound_logger(0))
    health = Health([], unready_reason, logger)
    await health.poll()
    assert not left
    return health.reason, [str(line["why"]) for line in lines if "why" in line]


async def test_a_lost_connection_is_no_outage_if_a_new_one_can_be_opened() -> None:
    """A terminated backend does not take a server out of load balancing."""
    assert await looked(LOST, None) == (None, [])


async def test_a_lost_connection_is_reported_with_why_no_new_one_can_be_opened() -> None:
    """In one line, not in one for each of the two."""
    reason, said = await looked(LOST, ABSENT)
    assert reason == "the database does not answer"
    assert [each.startswith("DATABASE_URL: Connection refused") for each in said] == [True]


async def test_a_connection_that_is_lost_again_is_reported_as_lost() -> None:
    assert (await looked(LOST, LOST))[1] == ["DATABASE_URL: terminating connection; it is tried again"]
