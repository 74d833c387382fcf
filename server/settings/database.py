"""What is set for the database."""

from pydantic import field_validator

from server.frame.settings import DeclaredSettings, setting
from storage.pooler import Pooler
from storage.time_limits import ANSWER_SECONDS, CONNECT_SECONDS, TimeLimits
from storage.url import parameters


class DatabaseSettings(DeclaredSettings):
    """The database: where it is, what stands in between, and how long it may keep us waiting."""

    database_url: str | None = setting(
        "DATABASE_URL",
        None,
        "the database, which `backroom migrate` brings up to date: PostgreSQL 16 or newer, on one host, or on several"
        " of which the primary is found",
        unset="the embedded PostgreSQL",
        example="postgresql://user:password@host1:5432,host2:5432/backroom",
        page="docs/runbook.md#the-address-of-the-database",
        secret=True,
    )
    database_pooler: Pooler = setting(
        "BACKROOM_DATABASE_POOLER",
        Pooler.NONE,
        "the mode of a pooler in between, such as PgBouncer: `none`, `session` or `transaction`, for which"
        " `backroom migrate` has the time limits hold for the role in `DATABASE_URL`",
        page="docs/decisions/0018-behind-a-pooler.md",
    )
    direct_database_url: str | None = setting(
        "BACKROOM_DIRECT_DATABASE_URL",
        None,
        "the same database past the pooler: migrations take that way, and new jobs are heard of there at once;"
        " without it, behind a pooler for transactions, they are looked for twice a second",
        page="docs/decisions/0018-behind-a-pooler.md",
        secret=True,
    )
    database_connect_seconds: float = setting(
        "BACKROOM_DATABASE_CONNECT_SECONDS",
        CONNECT_SECONDS,
        "for how long one host may take to let us in, unless the URL has a `connect_timeout` of its own",
        page="docs/runbook.md#time-limits",
        ge=0.2,
        le=60,
    )
    database_answer_seconds: float = setting(
        "BACKROOM_DATABASE_ANSWER_SECONDS",
        ANSWER_SECONDS,
        "for how long the database may take to confirm a change before its caller is told UNAVAILABLE, and to repeat"
        " it",
        page="docs/runbook.md#time-limits",
        ge=1,
        le=60,
    )
    serving_role: str | None = setting(
        "BACKROOM_SERVING_ROLE",
        None,
        "the role that `backroom migrate` grants what serving needs, without changing the record, where another one"
        " than the owner is to serve",
        unset="nothing is granted",
        page="docs/decisions/0023-two-roles.md",
        max_length=63,
    )

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one, in the data folder."""
        return self.database_url is None

    @property
    def time_limits(self) -> TimeLimits:
        """How long the database may keep us waiting."""
        return TimeLimits(self.database_connect_seconds, self.database_answer_seconds)

    @property
    def pooler(self) -> Pooler:
        """What stands before the database; nothing stands before the embedded one."""
        return Pooler.NONE if self.embedded else self.database_pooler

    @field_validator("database_url", "direct_database_url")
    @classmethod
    def _well_formed(cls, value: str | None) -> str | None:
        if value is not None:
            parameters(value)
        return value

    @field_validator("database_pooler", mode="before")
    @classmethod
    def _mode(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value
