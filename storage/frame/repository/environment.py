from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository
from storage.frame.tables import environment
from storage.limits import LIMITS


class EnvironmentReader(Reader):
    """Which environment the database belongs to, by the issuer of its tokens."""

    async def find(self) -> str | None:
        """The issuer; None where no server has started here yet."""
        issuer: str | None = (await self._connection.execute(select(environment.c.issuer))).scalar()
        return issuer

    async def count_servers(self) -> int:
        """How many connections servers and workers have to this database, where that can be seen."""
        others = text("""
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND application_name IN ('backroom', 'backroom-worker')
        """)
        return int((await self._connection.execute(others)).scalar_one())


class EnvironmentRepository(EnvironmentReader, Repository):
    """Makes the database an environment's own."""

    async def claim(self, issuer: str) -> str:
        """Makes it this issuer's where it is nobody's, and returns whose it is; of several at the same time, one is
        first."""
        await self._connection.execute(insert(environment).values(id=1, issuer=issuer).on_conflict_do_nothing())
        kept = await self.find()
        assert kept is not None  # noqa: S101 - it was written, by us or by another
        return kept

    async def adopt(self, issuer: str, now: datetime) -> None:
        """Makes it this issuer's, whosever it was."""
        values = {"issuer": issuer, "adopt_time": now}
        adopting = insert(environment).values(id=1, **values)
        await self._connection.execute(adopting.on_conflict_do_update(index_elements=["id"], set_=values))

    async def lift_limits(self) -> None:
        """Lets the statements of this transaction take as long as they need."""
        await self._connection.execute(select(*(func.set_config(name, "0", True) for name in LIMITS)))
