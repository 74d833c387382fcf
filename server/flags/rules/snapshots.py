"""All flag sets at one configuration version: read completely at the start, then updated by what changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from server.flags.rules import logic
from server.flags.rules.compiling import Compiler
from server.flags.rules.evaluating import CompiledFlag, View, compiled
from server.flags.rules.fractional import Fractional
from storage.flags.records import Configuration, Flag, FlagSet, Segment


class Difference(StrEnum):
    """What happened to a flag, by the names that clients know."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a view was made of."""

    segments: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All flag sets at one configuration version; immutable."""

    version: int
    fractional: Fractional
    views: Mapping[str, View]
    _kept: Mapping[str, _Kept]
    _operators: logic.Operators
    _compiler: Compiler

    @staticmethod
    def empty(fractional: Fractional) -> "Snapshot":
        """Without any flag, at version 0, which is before every change."""
        known = logic.operators(fractional)
        return Snapshot(0, fractional, {}, {}, known, Compiler(known))

    def view(self, flag_set_id: str) -> View:
        """A flag set; an empty one where there is none of this id."""
        return self.views.get(flag_set_id) or View(flag_set_id, {}, {}, self._operators)

    def after(self, news: Configuration) -> "Snapshot":
        """The snapshot with these changes applied; this one if they are not newer.

        Only changed flags are compiled, and those that depend on what changed: see `_followed`.
        """
        if news.version <= self.version:
            return self
        if news.complete and self.version:
            return Snapshot.empty(self.fractional).after(news)
        views, kept = dict(self.views), dict(self._kept)
        of_flags = {each.flag_set_id for each in news.flags} | {each.flag_set_id for each in news.segments}
        touched = of_flags | {each.id for each in news.flag_sets}
        for set_id in touched:
            flags = [each for each in news.flags if each.flag_set_id == set_id]
            segments = [each for each in news.segments if each.flag_set_id == set_id]
            sets = [each for each in news.flag_sets if each.id == set_id]
            before = kept.get(set_id, _Kept())
            kept[set_id] = _after(before, segments, sets)
            followed = _followed(self.view(set_id).flags, before, kept[set_id])
            views[set_id] = self._view_after(self.view(set_id), kept[set_id], [*followed, *flags])
        return Snapshot(news.version, self.fractional, views, kept, self._operators, self._compiler)

    def _view_after(self, view: View, kept: _Kept, changed: Sequence[Flag]) -> View:
        flags, archive_times = dict(view.flags), dict(view.archive_times)
        for flag in changed:
            if flag.archived:
                flags.pop(flag.key, None)
                archive_times[flag.key] = flag.update_time
            else:
                flags[flag.key] = compiled(flag, kept.segments, kept.metadata, self._compiler)
                archive_times.pop(flag.key, None)
        return View(view.flag_set_id, kept.metadata, flags, self._operators, archive_times)


def differences(old: View, new: View) -> Mapping[str, Difference]:
    """What happened to each flag whose evaluation may differ, by key."""
    found = dict.fromkeys(old.flags.keys() - new.flags.keys(), Difference.DELETE)
    before_of = old.flags.get
    for key, after in new.flags.items():  # of thousands, few differ
        before = before_of(key)
        if before is after:
            continue
        if before is None:
            found[key] = Difference.CREATE
        elif _served(before) != _served(after):
            found[key] = Difference.UPDATE
    return _with_dependents(found, new) if found else found


def changed_since(view: View, time: datetime) -> Mapping[str, Difference]:
    """The flags that were changed or archived since then, and those that depend on them."""
    archived = (key for key, when in view.archive_times.items() if when > time)
    found = dict.fromkeys(archived, Difference.DELETE)
    found.update((key, Difference.UPDATE) for key, each in view.flags.items() if each.flag.update_time > time)
    return _with_dependents(found, view)


def _with_dependents(found: dict[str, Difference], view: View) -> Mapping[str, Difference]:
    """With the flags that depend on one of these, directly or through others."""
    dependents: dict[str, list[str]] = {}
    for key, each in view.flags.items():
        for prerequisite in each.prerequisites:
            dependents.setdefault(prerequisite.flag_key, []).append(key)
    waiting = list(found)
    while waiting:
        for key in dependents.get(waiting.pop(), ()):
            if key not in found:
                found[key] = Difference.UPDATE
                waiting.append(key)
    return found


def _served(each: CompiledFlag) -> tuple[Any, ...]:
    """What an evaluation depends on and returns."""
    return (each.rule, each.prerequisites, each.constant, each.default, each.by_variant)


def _followed(flags: Mapping[str, CompiledFlag], before: _Kept, after: _Kept) -> Sequence[Flag]:
    """The flags to compile again: all if the set's metadata changed, those with segments if any changed."""
    if after.metadata != before.metadata:
        return [each.flag for each in flags.values()]
    if after.segments != before.segments:
        return [each.flag for each in flags.values() if each.refers]
    return []


def _after(before: _Kept, segments: Iterable[Segment], sets: Iterable[FlagSet]) -> _Kept:
    rules = dict(before.segments)
    for segment in segments:
        if segment.archived:
            rules.pop(segment.name, None)
        else:
            rules[segment.name] = segment.rule
    metadata = before.metadata
    for each in sets:
        metadata = each.metadata
    return _Kept(rules, metadata)
