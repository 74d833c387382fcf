"""The database's history, forward only: each revision is a file versions/NNNN_<what>.py, and NNNN is its id."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent


def head() -> str:
    """The newest revision's id, read off the files: Alembic need not be loaded to know it."""
    return max(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def migration_problem(revision: str | None) -> str | None:
    """What a database at this revision lacks, in a sentence with the mend; None where it is up to date, or newer."""
    if revision is None:
        return "the database is not migrated yet: run backroom migrate"
    if revision < head():
        return f"the database stands at migration {revision}, and {head()} is needed: run backroom migrate"
    return None


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the database up to a revision; several servers may do so at once, and one of them does the work."""
    from alembic import command

    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Brings the database down to a revision, "base" being none."""
    from alembic import command

    command.downgrade(_config(url), revision)


def _config(url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = url
    return config
