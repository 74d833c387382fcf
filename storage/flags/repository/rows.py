"""How rows become flags, segments and sets, and these rows."""

from collections.abc import Mapping
from typing import Any

from storage.base import AnyRow, Records, column_names
from storage.flags.records import (
    Flag,
    FlagChange,
    FlagSet,
    FlagState,
    FlagType,
    FlagVersion,
    Prerequisite,
    Segment,
)
from storage.flags.tables import flag_sets, flag_versions, flags, segments

FLAG_COLUMNS = column_names(flags)
SET_COLUMNS = column_names(flag_sets)
SEGMENT_COLUMNS = column_names(segments)
VERSION_COLUMNS = column_names(flag_versions)

_IN_DOCUMENT = ("variants", "default_variant", "targeting", "metadata", "prerequisites")
_AS_COLUMNS = tuple(name for name in FLAG_COLUMNS if name not in ("document", "configuration_version"))


def _prerequisites(document: Mapping[str, Any]) -> tuple[Prerequisite, ...]:
    return tuple(Prerequisite(each["flag_key"], tuple(each["variants"])) for each in document["prerequisites"])


def _inner(name: str) -> tuple[Any, str]:
    return (lambda document: document[name], "document")


FLAGS = Records(
    Flag,
    type=FlagType,
    state=FlagState,
    variants=_inner("variants"),
    default_variant=_inner("default_variant"),
    targeting=_inner("targeting"),
    metadata=_inner("metadata"),
    prerequisites=(_prerequisites, "document"),
)
SETS = Records(FlagSet)
SEGMENTS = Records(Segment)


def document_of(flag: Flag) -> Mapping[str, Any]:
    found = {name: getattr(flag, name) for name in _IN_DOCUMENT}
    needed = [{"flag_key": each.flag_key, "variants": list(each.variants)} for each in flag.prerequisites]
    return {**found, "prerequisites": needed}


def flag_row(flag: Flag, configuration_version: int) -> Mapping[str, Any]:
    columns = {name: getattr(flag, name) for name in _AS_COLUMNS}
    return {**columns, "document": document_of(flag), "configuration_version": configuration_version}


def version_row(version: FlagVersion) -> Mapping[str, Any]:
    flag = version.flag
    times = ("expire_time", "create_time", "update_time")
    columns = {name: getattr(flag, name) for name in _AS_COLUMNS if name not in ("id", "version", *times)}
    written = {name: time.isoformat() if (time := getattr(flag, name)) else None for name in times}
    return {
        "flag_id": flag.id,
        "version": flag.version,
        "document": {**columns, **written, **document_of(flag)},
        "change": version.change,
        "comment": version.comment,
        "changed_by": version.changed_by,
        "approved_by": version.approved_by,
        "configuration_version": version.configuration_version,
    }


def version_of(row: AnyRow, flag: Flag) -> FlagVersion:
    return FlagVersion(
        flag, FlagChange(row.change), row.comment, row.changed_by, row.approved_by, row.configuration_version
    )
