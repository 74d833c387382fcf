"""How a setting is declared: once, with what `README.md`, `.env.example` and `backroom doctor` say of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from server.frame.addresses import LOCAL_ISSUER

Value = TypeVar("Value")


def setting(
    name: str,
    default: Value,
    says: str,
    *,
    typed: str = "",
    unset: str = "",
    example: str = "",
    page: str = "",
    secret: bool = False,
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Value:
    """Declares a field of DeclaredSettings, which is read from the environment by this name.

    `says` follows the name, without a full stop at its end; `page` has the rest.
    `typed` is the default as one would type it, where that is not plain from `default`; `unset` says in words what
    applies where nothing is set. A secret's value is shown nowhere: neither by `repr` nor by `doctor`.
    """
    field: Value = Field(
        default,
        validation_alias=name,
        description=says,
        examples=[example] if example else None,
        repr=not secret,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        json_schema_extra={"typed": typed or written(default), "unset": unset, "page": page},
    )
    return field


class Address:
    """A host and a port, such as 127.0.0.1:50051 or [::1]:50051."""

    def __init__(self, text: str) -> None:
        host, _, port = text.rpartition(":")
        if not host or host != "".join(host.split()) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError("must be host:port, such as 127.0.0.1:50051")
        self.host = host.removeprefix("[").removesuffix("]")
        self.port = int(port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of one setting."""

    name: str
    """In the environment."""
    field: str
    """In its class."""
    says: str
    default: str
    """As one would type it; empty where there is none that could be typed."""
    unset: str
    """What applies where nothing is set, in words; empty where the default says so."""
    example: str
    page: str
    """Where there is more to read, as a path from the project's folder; may be empty."""
    secret: bool


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a module's settings may have to know of where they count."""

    production: bool
    embedded: bool
    """Whether the database is the embedded one, in the data folder."""
    data_dir: Path
    issuer: str = LOCAL_ISSUER
    """The URL of the environment, which distinguishes it from others."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How `doctor` shows a setting whose value does not speak for itself."""

    found: str
    fix: str = ""
    """What to do about it; empty where there is nothing to do."""
    broken: bool = True
    """Whether that must be done, and not only may be."""


@dataclass(frozen=True, slots=True)
class DatabaseApart:
    """A database of one's own, by a setting."""

    setting: str
    """Its name in the environment."""
    url: str = field(repr=False)


class DeclaredSettings(BaseModel):
    """Settings of one subject, frozen: a module's own, or some of every process.

    The first line of a class's docstring is their heading in README.md and `.env.example`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    def production_problems(self) -> Iterator[str]:
        """Why a server must not start so in production, one line a reason that names the setting and the fix."""
        yield from ()

    def grpc_addresses(self) -> Mapping[str, Address]:
        """Where some of the module's services are answered beside BACKROOM_GRPC_ADDRESS, by the settings' names.

        Which ones, its manifest says for each by an OwnPort.
        """
        return {}

    def databases_apart(self) -> Mapping[str, DatabaseApart]:
        """Databases of one's own that are set, by `StoreKind.apart` of what stands there."""
        return {}

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        """What `doctor` shows instead of the values, by the settings' names; it contains no secret."""
        del deployment  # it is for those that depend on it
        return {}


def declared(kind: type[DeclaredSettings]) -> Sequence[Declared]:
    """Every setting of a class, in the order of their declaration; a field that is excluded is none."""
    return [_declared(field, info) for field, info in kind.model_fields.items() if not info.exclude]


def _declared(field: str, info: FieldInfo) -> Declared:
    extra = info.json_schema_extra
    if not isinstance(extra, Mapping) or info.description is None:
        raise TypeError(f"{field} is declared without setting(...)")
    return Declared(
        name=str(info.validation_alias),
        field=field,
        says=info.description,
        default=str(extra["typed"]),
        unset=str(extra["unset"]),
        example=str(info.examples[0]) if info.examples else "",
        page=str(extra["page"]),
        secret=not info.repr,
    )


def written(value: object) -> str:
    """A value as it is typed into the environment; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
