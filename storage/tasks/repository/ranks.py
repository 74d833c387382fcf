from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from storage.base import Repository, json_parameter, update_json
from storage.tasks.tables import projects, tasks

_RENEW = update_json(tasks, "id", "rank")


class RankRepository(Repository):
    """The order of a project's tasks by hand; read and changed while the project is locked."""

    async def find_last(self, project_id: UUID) -> str | None:
        """The rank of the last task; None where there is none."""
        return await self._extreme(project_id, func.max(tasks.c.rank))

    async def find_before(self, project_id: UUID, rank: str, *, without: UUID) -> str | None:
        """The next lower rank that is not that task's; None where there is none."""
        return await self._extreme(project_id, func.max(tasks.c.rank), tasks.c.rank < rank, tasks.c.id != without)

    async def find_after(self, project_id: UUID, rank: str, *, without: UUID) -> str | None:
        """The next higher rank that is not that task's; None where there is none."""
        return await self._extreme(project_id, func.min(tasks.c.rank), tasks.c.rank > rank, tasks.c.id != without)

    async def find_around(
        self, project_id: UUID, rank: str, count: int
    ) -> tuple[Sequence[tuple[UUID, str]], Sequence[tuple[UUID, str]]]:
        """Up to so many tasks before a rank, and as many from it on, with their ranks and in their order."""
        mine = select(tasks.c.id, tasks.c.rank).where(tasks.c.project_id == project_id)
        before = mine.where(tasks.c.rank < rank).order_by(tasks.c.rank.desc()).limit(count)
        behind = mine.where(tasks.c.rank >= rank).order_by(tasks.c.rank).limit(count)
        found = [
            [(row.id, row.rank) for row in await self._connection.execute(statement)] for statement in (before, behind)
        ]
        return found[0][::-1], found[1]

    async def renew(self, project_id: UUID, ranks: Mapping[UUID, str]) -> None:
        """Gives tasks other ranks, in the same order; page tokens of the order before are good no more."""
        await self._connection.execute(_RENEW, json_parameter(("id", "rank"), ranks.items()))
        mine = projects.c.id == project_id
        await self._connection.execute(update(projects).where(mine).values(rank_epoch=projects.c.rank_epoch + 1))

    async def _extreme(self, project_id: UUID, which: object, *conditions: object) -> str | None:
        statement = select(which).where(tasks.c.project_id == project_id, *conditions)  # type: ignore[call-overload]
        found: str | None = await self._connection.scalar(statement)
        return found
