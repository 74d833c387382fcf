"""The database's history, forward only: each revision is a file versions/NNNN_<what>.py, and NNNN is its id."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent


def head() -> str:
    """The newest revision's id, from the file names, without loading Alembic."""
    return max(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def migration_problem(revision: str | None) -> str | None:
    """What a database at this revision lacks, in a sentence that says what to do; None if it is not older."""
    if revision is None:
        return "the database is not migrated yet: run backroom migrate"
    if revision < head():
        return f"the database is at migration {revision}, and {head()} is needed: run backroom migrate"
    return None


def upgrade(url: str, revision: str = "head") -> None:
    """Migrates up to a revision; several servers may do so at the same time, and one of them does the work."""
    from alembic import command

    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrates the database down to a revision; "base" means none."""
    from alembic import command

    command.downgrade(_config(url), revision)


def _config(url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = url
    return config
