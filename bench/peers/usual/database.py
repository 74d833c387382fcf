from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.peers.usual.models import Base


def create_engine(url: str, *, pool_size: int = 5, max_overflow: int = 0) -> AsyncEngine:
    """For a URL of PostgreSQL, whichever driver it names."""
    driver = make_url(url).set(drivername="postgresql+asyncpg")
    return create_async_engine(driver, pool_size=pool_size, max_overflow=max_overflow)


async def create_tables(engine: AsyncEngine) -> None:
    """Creates the missing tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
