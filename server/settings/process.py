"""What a process is told of itself."""

import re
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from server.frame.addresses import LOCAL_ISSUER
from server.frame.environment import did_you_mean, listed
from server.frame.sealing import MasterKeyMalformed, read_master_key
from server.frame.settings import DeclaredSettings, setting
from server.modules import MODULES


class ProcessSettings(DeclaredSettings):
    """The process: its environment, its keys, its modules, its log."""

    environment: Literal["development", "production"] = setting(
        "BACKROOM_ENVIRONMENT",
        "development",
        "`development`, or `production`, which refuses to start without what it needs, with what is to try things with,"
        " or in plain text across a network",
        page="SECURITY.md",
    )
    issuer_url: str | None = setting(
        "BACKROOM_ISSUER",
        None,
        "the URL of this environment: in its tokens, and kept in its database, so that a server of another environment"
        " does not start on a copy; `backroom adopt` makes a copy the database of this one",
        typed=LOCAL_ISSUER,
        page="docs/decisions/0022-environments.md",
    )
    master_keys: tuple[bytes, ...] = setting(
        "BACKROOM_MASTER_KEY",
        (),
        "what keys and secrets in the database are sealed with: 32 bytes in base64, as `backroom keys new-master-key`"
        " prints them; of several with commas between the first seals, and all open",
        unset="the embedded PostgreSQL has one that is made and kept in `master.key`",
        secret=True,
    )
    data_dir: Path = setting(
        "BACKROOM_DATA_DIR",
        Path(".backroom"),
        "where the embedded PostgreSQL and its first admin's password, in `admin.json`, are kept for their owner alone;"
        " as root it runs as `nobody`",
        page="docs/decisions/0017-the-embedded-postgresql.md",
    )
    modules: tuple[str, ...] = setting(
        "BACKROOM_MODULES",
        MODULES,
        "what this process serves: `all`, or some of"
        f" {', '.join(f'`{each}`' for each in MODULES)}, with commas between",
        typed="all",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )
    log_format: Literal["auto", "json", "pretty"] = setting(
        "LOG_FORMAT", "auto", "`json`, `pretty`, or `auto`: pretty on a terminal"
    )

    @property
    def issuer(self) -> str:
        """The URL of this environment, by which its tokens and its database are told from another one's."""
        return self.issuer_url or LOCAL_ISSUER

    @field_validator("master_keys", mode="before")
    @classmethod
    def _master_keys(cls, value: object) -> object:
        try:
            return tuple(map(read_master_key, value.split(","))) if isinstance(value, str) else value
        except MasterKeyMalformed:
            raise ValueError("must be 32 random bytes in base64; more than one, with commas between") from None

    @field_validator("issuer_url")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-\"$->@-~]{1,200}", value):
            raise ValueError("must be a URL without ? and #, such as https://backroom.example.com")
        return value

    @field_validator("modules", mode="before")
    @classmethod
    def _known_modules(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = listed(value)
        if value.strip() == "all":
            return MODULES
        unknown = [name for name in names if name not in MODULES]
        if unknown or not names:
            near = did_you_mean(unknown[0], ("all", *MODULES)) if unknown else ""
            raise ValueError(f"must be all, or some of {', '.join(MODULES)}, with commas between{near}")
        return names

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("environment", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value
