"""What must hold of all that is kept, asked by a test."""

from storage.database import Database


async def broken(database: Database) -> dict[str, list[str]]:
    """The laws that do not hold, each with what breaks it."""
    async with database.snapshot() as laws:
        findings = await laws.check()
    return {f"{each.id} {each.law}": list(each.named) for each in findings if each.violations}


async def assert_whole(database: Database) -> None:
    assert await broken(database) == {}
