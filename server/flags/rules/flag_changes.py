"""The changes that can be made to one flag."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from server.flags.errors import FlagArchived, FlagKeyTaken, FlagNotFound, FlagVersionNotFound
from server.flags.rules import drafts
from server.flags.rules.changes import Moment, Outcome, SetState, Shown, check_read, flag_resource, version_of
from server.flags.rules.drafts import FlagDraft
from server.flags.rules.kinds import type_of_all
from server.frame.editing import changed
from storage.flags.records import Flag, FlagChange, FlagState, FlagType, Prerequisite


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFlag:
    """A change of one flag."""

    flag_set_id: str
    key: str
    comment: str = ""

    def resource(self) -> str:
        return flag_resource(self.flag_set_id, self.key)

    def bases(self, state: SetState) -> Mapping[str, int]:
        return {self.resource(): version_of(state.flags.get(self.key))}

    def standing(self, state: SetState) -> Shown:
        return Shown(flag=state.flags.get(self.key))

    def found(self, state: SetState, etag: str = "") -> Flag:
        """Raises FlagNotFound, EtagMismatch."""
        flag = state.flags.get(self.key)
        if flag is None:
            raise FlagNotFound(flag_set_id=self.flag_set_id, flag_key=self.key)
        check_read(flag, etag)
        return flag

    def live(self, state: SetState, etag: str = "") -> Flag:
        """Raises FlagNotFound, FlagArchived, EtagMismatch."""
        flag = self.found(state)
        if flag.archived:
            raise FlagArchived(flag_key=self.key)
        check_read(flag, etag)
        return flag


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFlag(OfFlag):
    draft: FlagDraft
    call: Literal["CreateFlag"] = "CreateFlag"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagKeyTaken."""
        if self.key in state.flags:
            raise FlagKeyTaken(flag_key=self.key)
        flag = _typed(self.draft.as_flag(moment.new_id(), self.flag_set_id, self.key, moment.time))
        return Outcome(Shown(flag=flag), FlagChange.CREATED, new=[flag])


@dataclass(frozen=True, slots=True, kw_only=True)
class EditFlag(OfFlag):
    values: Mapping[str, Any]
    """The new values by the fields' names, as JSON has them: see `values_of`."""
    etag: str = ""
    call: Literal["UpdateFlag"] = "UpdateFlag"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagNotFound, FlagArchived, EtagMismatch."""
        flag = self.live(state, self.etag)
        return _outcome(flag, _typed(changed(flag, values_of(self.values, flag), moment.time)), FlagChange.UPDATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFlag(OfFlag):
    etag: str = ""
    call: Literal["ArchiveFlag"] = "ArchiveFlag"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagNotFound, EtagMismatch."""
        flag = self.found(state, self.etag)
        return _outcome(flag, drafts.archived(flag, moment.time), FlagChange.ARCHIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFlag(OfFlag):
    version: int
    etag: str = ""
    call: Literal["RollbackFlag"] = "RollbackFlag"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagNotFound, FlagVersionNotFound, EtagMismatch."""
        flag = self.found(state)
        if state.then is None:
            raise FlagVersionNotFound(flag_key=self.key, version=str(self.version))
        check_read(flag, self.etag)
        return _outcome(flag, drafts.rolled_back(flag, state.then, moment.time), FlagChange.ROLLED_BACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOut(OfFlag):
    shares: Mapping[str, int]
    """In thousandths of a percent, by variant."""
    seed: str = ""
    bucket_by: str = ""
    etag: str = ""
    call: Literal["SetRollout"] = "SetRollout"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagNotFound, FlagArchived, EtagMismatch, RolloutUnsuited."""
        flag = self.live(state, self.etag)
        out = drafts.rolled_out(flag, self.shares, self.seed, self.bucket_by, moment.time)
        return _outcome(flag, out, FlagChange.ROLLOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOff(OfFlag):
    call: Literal["SwitchOff"] = "SwitchOff"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagNotFound, FlagArchived."""
        flag = self.live(state)
        return _outcome(flag, drafts.switched_off(flag, moment.time), FlagChange.SWITCHED_OFF)


def values_of(document: Mapping[str, Any], flag: Flag) -> Mapping[str, Any]:
    """The new values of a flag's fields, out of what JSON has of them: names of enums, times as text.

    A type of None means that which the variants show, the new ones or those that the flag has.
    """
    values = dict(document)
    if "type" in values:
        variants = values.get("variants", flag.variants)
        values["type"] = FlagType(values["type"] or type_of_all(variants.values()) or flag.type)
    if "state" in values:
        values["state"] = FlagState(values["state"])
    if "expire_time" in values:
        values["expire_time"] = datetime.fromisoformat(values["expire_time"]) if values["expire_time"] else None
    if "prerequisites" in values:
        needed = values["prerequisites"]
        values["prerequisites"] = tuple(Prerequisite(each["flag_key"], tuple(each["variants"])) for each in needed)
    return values


def _typed(flag: Flag) -> Flag:
    """With floats for the variants of a float flag: as JSON, they show what they are."""
    if flag.type is not FlagType.FLOAT:
        return flag
    whole = {name: each for name, each in flag.variants.items() if type(each) is int}
    return replace(flag, variants={**flag.variants, **{name: float(each) for name, each in whole.items()}})


def _outcome(before: Flag, after: Flag, change: FlagChange) -> Outcome:
    return Outcome(Shown(flag=after), change, changed=[] if after is before or after == before else [after])
