"""What readiness makes of a connection that was lost."""

from typing import Any

import structlog

from server.frame.health import Health
from storage.errors import StoreUnavailable
from storage.problems import DatabaseProblem, ProblemKind
from tests.fixtures.servers import keep_in

LOST = StoreUnavailable(DatabaseProblem(ProblemKind.LOST, "terminating connection"))
ABSENT = StoreUnavailable(DatabaseProblem(ProblemKind.ABSENT, "Connection refused"))


async def looked(*answers: StoreUnavailable | None) -> tuple[str | None, list[str]]:
    """Why a server is not ready whose database answers so, one time after the other, and what the log says of it."""
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


async def test_a_lost_connection_is_no_outage_where_another_is_to_be_had() -> None:
    """A backend that was terminated takes no server out of the balance."""
    assert await looked(LOST, None) == (None, [])


async def test_of_a_lost_connection_it_is_told_why_there_is_no_other() -> None:
    """In one line, and not in one for each of the two."""
    reason, said = await looked(LOST, ABSENT)
    assert reason == "the database does not answer"
    assert [each.startswith("DATABASE_URL: Connection refused") for each in said] == [True]


async def test_what_is_lost_again_is_told_as_that() -> None:
    assert (await looked(LOST, LOST))[1] == ["DATABASE_URL: terminating connection; it is tried again"]
