"""Changing some fields of a resource, unless somebody else was faster: masks and etags (AIP-134, AIP-154)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from server.frame.errors import EtagMismatch, FieldInvalid
from server.frame.wire import require

Key = TypeVar("Key")
Resource = TypeVar("Resource", bound=Message)

EVERY_FIELD = "*"
"""A mask of this alone names all fields that can be changed."""


class Versioned(Protocol):
    """A record that counts its changes."""

    @property
    def version(self) -> int: ...
    @property
    def create_time(self) -> datetime: ...


Record = TypeVar("Record", bound=Versioned)


@dataclass(frozen=True, slots=True)
class Edit(Generic[Key]):
    """The fields to change and their new values, of the record that the caller read under an etag."""

    key: Key
    etag: str
    """Empty where the caller does not mind changes in between."""
    values: Mapping[str, Any]


def edit_of(
    resource: Resource,
    update_mask: FieldMask,
    key: tuple[str, Callable[[str], Key]],
    fields: Mapping[str, Callable[[Resource], Any]],
    *,
    key_required: bool = True,
) -> Edit[Key]:
    """What an Update request asks for.

    `key` is the field that names the resource, and how it is read; `fields` are those that can be changed, each with
    how its new value is read. An absent mask means those of them that are set; one of "*" alone, all of them.
    Raises FieldInvalid where the key is missing and an empty one names nothing, or the mask names another field.
    """
    field, read = key
    if key_required:
        require(resource, field)
    paths = list(dict.fromkeys(update_mask.paths))
    if not paths:
        paths = [each.name for each, _ in resource.ListFields() if each.name in fields]
    elif paths == [EVERY_FIELD]:
        paths = list(fields)
    for path in paths:
        if path not in fields:
            raise FieldInvalid.of("update_mask", f"may name only {', '.join(fields)}, or be * alone for all of them")
    etag: str = getattr(resource, "etag")  # noqa: B009 - not every message has one
    return Edit(read(getattr(resource, field)), etag, {path: fields[path](resource) for path in paths})


def as_sent(*names: str) -> Mapping[str, Callable[[Any], Any]]:
    """Fields that can be changed, and whose new value is taken as it is."""
    return {name: attrgetter(name) for name in names}


def etag_of(record: Versioned) -> str:
    """Another after each change, and another for what is made anew under the name of something deleted."""
    return f"{record.version}-{int(record.create_time.timestamp() * 1_000_000):x}"


def check_etag(record: Versioned, edit: Edit[Any]) -> None:
    """Raises EtagMismatch where another change came first."""
    if edit.etag and edit.etag != etag_of(record):
        raise EtagMismatch(etag=etag_of(record))


def changed(record: Record, values: Mapping[str, Any], now: datetime) -> Record:
    """The record with new values, at its next version; the same one where none of them is new."""
    if all(getattr(record, name) == value for name, value in values.items()):
        return record
    new: Record = replace(record, **values, version=record.version + 1, update_time=now)  # type: ignore[type-var]  # a protocol cannot ask for a dataclass
    return new
