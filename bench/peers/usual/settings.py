import tempfile
from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """From the command line or the environment."""

    model_config = SettingsConfigDict(frozen=True, cli_kebab_case=True)

    url: str
    """Of the database, as libpq takes it."""
    storage: Literal["orm", "core"] = "orm"
    port: int = 8000
    jwt_public_key: str
    """In PEM: the Ed25519 key that verifies access tokens."""
    flags: Path | None = None
    """A file of flagd's JSON, whose flags are evaluated; None means that there are none."""
    folder: Path = Path(tempfile.gettempdir())
    """Where files are stored."""
    pool_size: int = 10
    max_overflow: int = 0
    """None: with many callers, opening and closing them all the time would cost more than waiting."""
