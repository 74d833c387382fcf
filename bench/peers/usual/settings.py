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
    """In PEM: the Ed25519 key that access tokens are held against."""
    pool_size: int = 10
    max_overflow: int = 0
    """None: a crowd would have them opened and closed all the time, which costs more than waiting does."""
