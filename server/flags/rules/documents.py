"""Flags as flagd's JSON: read and written, there and back unchanged (https://flagd.dev/reference/flag-definitions).

What flagd has no place for can stand in a flag's metadata, under names that begin with "backroom.".
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from server.flags.rules.drafts import FlagDraft
from server.flags.rules.kinds import type_of_all
from server.frame.errors import FieldViolation
from storage.flags.records import Flag, FlagState, FlagType, Prerequisite

_OURS = "backroom."
_STATES = {"ENABLED": FlagState.ENABLED, "DISABLED": FlagState.DISABLED}
_ROOT = frozenset({"$schema", "flags", "$evaluators", "metadata"})
# flagd itself ignores the last two, which its own exports hold.
_FLAG = frozenset({"state", "variants", "defaultVariant", "targeting", "metadata", "source", "selector"})


class DocumentInvalid(Exception):
    """It is not flagd's JSON."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("; ".join(f"{each.path}: {each.description}" for each in violations))
        self.violations = violations


@dataclass(frozen=True, slots=True)
class Document:
    """A flag set as flagd's JSON describes it."""

    flags: Mapping[str, FlagDraft]
    segments: Mapping[str, Any]
    metadata: Mapping[str, Any]


def read(text: str) -> Document:
    """Reads flagd's JSON; whether clients can evaluate it is not looked at yet. Raises DocumentInvalid."""
    root = _parsed(text)
    found = list(_root_violations(root))
    if found:
        raise DocumentInvalid(found)
    drafts: dict[str, FlagDraft] = {}
    for key, flag in root["flags"].items():
        wrong = list(_flag_violations(flag, f"flags.{key}"))
        found += wrong
        if not wrong:
            try:
                drafts[key] = _draft(flag)
            except (ValueError, TypeError, KeyError) as error:
                found.append(
                    FieldViolation(f"flags.{key}.metadata", f'what begins with "{_OURS}" is malformed: {error}')
                )
    if found:
        raise DocumentInvalid(found)
    return Document(drafts, root.get("$evaluators") or {}, root.get("metadata") or {})


def written(
    flags: Iterable[Flag], segments: Mapping[str, Any], metadata: Mapping[str, Any], *, with_details: bool = False
) -> Mapping[str, Any]:
    """The flag set as flagd's JSON has it; with details, also what only we know of a flag."""
    root: dict[str, Any] = {"flags": {each.key: _flag(each, with_details=with_details) for each in flags}}
    if segments:
        root["$evaluators"] = dict(segments)
    if metadata:
        root["metadata"] = dict(metadata)
    return root


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid([FieldViolation("flag_configuration", f"is not JSON: {error}")]) from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"a key comes twice: {next(each for each in names if names.count(each) > 1)}")
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _root_violations(root: Any) -> Iterator[FieldViolation]:
    if not isinstance(root, dict):
        yield FieldViolation("flag_configuration", "must be a JSON object")
        return
    for name in sorted(root.keys() - _ROOT):
        yield FieldViolation(name, "is nothing that flagd's JSON has")
    if not isinstance(root.get("flags"), dict):
        yield FieldViolation("flags", "must be an object of flags by their keys")
    for name in ("$evaluators", "metadata"):
        if not isinstance(root.get(name) or {}, dict):
            yield FieldViolation(name, "must be an object")


def _flag_violations(flag: Any, path: str) -> Iterator[FieldViolation]:
    if not isinstance(flag, dict):
        yield FieldViolation(path, "must be an object")
        return
    for name in sorted(flag.keys() - _FLAG):
        yield FieldViolation(f"{path}.{name}", "is nothing that a flag has in flagd's JSON")
    if flag.get("state") not in _STATES:
        yield FieldViolation(f"{path}.state", "must be ENABLED or DISABLED")
    variants = flag.get("variants")
    if type_of_all(variants.values() if isinstance(variants, dict) else ()) is None:
        yield FieldViolation(f"{path}.variants", "must be an object of booleans, of texts, of numbers or of objects")
    if not isinstance(flag.get("defaultVariant"), str | bool | None):
        yield FieldViolation(f"{path}.defaultVariant", "must be a variant's name")
    for name in ("targeting", "metadata"):
        if not isinstance(flag.get(name) or {}, dict):
            yield FieldViolation(f"{path}.{name}", "must be an object")


def _draft(flag: Mapping[str, Any]) -> FlagDraft:
    default = flag.get("defaultVariant")
    metadata = flag.get("metadata") or {}
    ours = {name.removeprefix(_OURS): each for name, each in metadata.items() if name.startswith(_OURS)}
    expiry = ours.get("expireTime")
    return FlagDraft(
        type=type_of_all(flag["variants"].values()) or FlagType.OBJECT,
        state=_STATES[flag["state"]],
        variants=flag["variants"],
        default_variant=str(default).lower() if isinstance(default, bool) else default or "",
        targeting=flag.get("targeting") or {},
        metadata={name: each for name, each in metadata.items() if not name.startswith(_OURS)},
        prerequisites=_prerequisites(ours.get("prerequisites")),
        description=str(ours.get("description", "")),
        owner=str(ours.get("owner", "")),
        ticket=str(ours.get("ticket", "")),
        expire_time=datetime.fromisoformat(expiry) if expiry else None,
    )


def _prerequisites(text: str | None) -> tuple[Prerequisite, ...]:
    found = json.loads(text) if text else {}
    return tuple(Prerequisite(key, tuple(map(str, variants))) for key, variants in found.items())


def _flag(flag: Flag, *, with_details: bool) -> Mapping[str, Any]:
    state = "ENABLED" if flag.state is FlagState.ENABLED else "DISABLED"
    found: dict[str, Any] = {"state": state, "variants": dict(flag.variants)}
    if flag.default_variant:
        found["defaultVariant"] = flag.default_variant
    if flag.targeting:
        found["targeting"] = flag.targeting
    if metadata := {**flag.metadata, **(_details(flag) if with_details else {})}:
        found["metadata"] = metadata
    return found


def _details(flag: Flag) -> Mapping[str, str]:
    needed = {each.flag_key: each.variants for each in flag.prerequisites}
    details = {
        "description": flag.description,
        "owner": flag.owner,
        "ticket": flag.ticket,
        "expireTime": flag.expire_time.isoformat() if flag.expire_time else "",
        "prerequisites": json.dumps(needed, ensure_ascii=False) if needed else "",
    }
    return {_OURS + name: each for name, each in details.items() if each}
