"""Flags, their versions, what changes them, and how they evaluate."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from google.protobuf.field_mask_pb2 import FieldMask

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flags_pb2
from server.flags.errors import TargetingFailed
from server.flags.messages.values import plain, plain_object, wire, wire_object
from server.flags.rules import flag_changes
from server.flags.rules.changes import Change
from server.flags.rules.drafts import FlagDraft
from server.flags.rules.evaluating import Evaluation
from server.flags.rules.explaining import AskedBucket, AskedPrerequisite, AskedRule, Explanation
from server.flags.rules.kinds import type_of_all
from server.flags.rules.rollouts import in_thousandths
from server.flags.rules.staleness import Stale, StaleReason
from server.flags.service.trying import Trial
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid, Refusal
from server.frame.wire import EnumNames, id_text, require, time_of, timestamp
from storage.flags.records import (
    Flag,
    FlagChange,
    FlagState,
    FlagType,
    FlagVersion,
    Prerequisite,
    Served,
    UsagePeriod,
)

_TYPES = EnumNames(FlagType, flags_pb2.FlagType)
_STATES = EnumNames(FlagState, flags_pb2.FlagState)
_CHANGES = EnumNames(FlagChange, flags_pb2.FlagChange)
_PERIODS = EnumNames(UsagePeriod, pb.UsagePeriod)
_STALE_REASONS = EnumNames(StaleReason, flags_pb2.StaleReason)

_EDITABLE: Mapping[str, Any] = {
    "type": lambda flag: _type_name(flag),
    "state": lambda flag: (_STATES.find(flag.state) or FlagState.ENABLED).value,
    "variants": lambda flag: _variants(flag),
    **as_sent("default_variant", "description", "owner", "ticket"),
    "targeting": lambda flag: plain_object(flag.targeting),
    "metadata": lambda flag: plain_object(flag.metadata),
    "prerequisites": lambda flag: [
        {"flag_key": each.flag_key, "variants": list(each.variants)} for each in flag.prerequisites
    ],
    "expire_time": lambda flag: time_of(flag.expire_time).isoformat() if flag.HasField("expire_time") else None,
}
"""The fields of a flag that an update_mask may name, each with its new value as JSON has it."""


def draft(flag: flags_pb2.Flag) -> FlagDraft:
    """Raises FieldInvalid where the key is missing."""
    require(flag, "key")
    variants = _variants(flag)
    return FlagDraft(
        type=_TYPES.find(flag.type) or type_of_all(variants.values()) or FlagType.OBJECT,
        state=_STATES.find(flag.state) or FlagState.ENABLED,
        variants=variants,
        default_variant=flag.default_variant,
        targeting=plain_object(flag.targeting),
        metadata=plain_object(flag.metadata),
        prerequisites=tuple(Prerequisite(each.flag_key, tuple(each.variants)) for each in flag.prerequisites),
        description=flag.description,
        owner=flag.owner,
        ticket=flag.ticket,
        expire_time=time_of(flag.expire_time) if flag.HasField("expire_time") else None,
    )


def creation(flag: flags_pb2.Flag, comment: str) -> flag_changes.CreateFlag:
    """Raises FieldInvalid where the key is missing."""
    return flag_changes.CreateFlag(flag_set_id=flag.flag_set_id, key=flag.key, draft=draft(flag), comment=comment)


def edit(request: pb.UpdateFlagRequest) -> flag_changes.EditFlag:
    """Raises FieldInvalid where the key is missing, or the mask names a field that cannot be changed."""
    found: Edit[str] = edit_of(request.flag, request.update_mask, ("key", str), _EDITABLE)
    return flag_changes.EditFlag(
        flag_set_id=request.flag.flag_set_id,
        key=found.key,
        etag=found.etag,
        values=found.values,
        comment=request.comment,
    )


def edited_values(given: flags_pb2.FlagEdit) -> Mapping[str, Any]:
    """The new values that an edit names, of whichever flag; raises FieldInvalid."""
    return edit_of(given.flag, given.update_mask, ("key", str), _EDITABLE, key_required=False).values


def edit_shown(values: Mapping[str, Any]) -> flags_pb2.FlagEdit:
    """The edit again, of new values as JSON has them."""
    shown = dict(values)
    if "type" in shown:
        shown["type"] = _TYPES.wire(FlagType(shown["type"])) if shown["type"] else 0
    if "state" in shown:
        shown["state"] = _STATES.wire(FlagState(shown["state"]))
    if "variants" in shown:
        shown["variants"] = {name: wire(each) for name, each in shown["variants"].items()}
    for name in ("targeting", "metadata"):
        if name in shown:
            shown[name] = wire_object(shown[name])
    if "prerequisites" in shown:
        shown["prerequisites"] = [flags_pb2.Prerequisite(**each) for each in shown["prerequisites"]]
    if shown.get("expire_time"):
        shown["expire_time"] = timestamp(datetime.fromisoformat(shown["expire_time"]))
    return flags_pb2.FlagEdit(flag=flags_pb2.Flag(**shown), update_mask=FieldMask(paths=values))


def shares(rollout: flags_pb2.Rollout, path: str = "rollout") -> Mapping[str, int]:
    """In thousandths of a percent, by variant; raises FieldInvalid."""
    try:
        return in_thousandths((each.variant, each.percent) for each in rollout.shares)
    except ValueError as wrong:
        raise FieldInvalid.of(f"{path}.shares", str(wrong)) from None


def rollout(request: pb.SetRolloutRequest) -> flag_changes.RollOut:
    """Raises FieldInvalid where a share is finer than may be, or a variant comes twice."""
    return flag_changes.RollOut(
        flag_set_id=request.flag_set_id,
        key=request.key,
        shares=shares(request.rollout),
        seed=request.rollout.seed,
        bucket_by=request.rollout.bucket_by,
        etag=request.etag,
        comment=request.comment,
    )


def tried(request: pb.TryFlagRequest, *, exists: bool) -> Change:
    """The change that is tried: of a flag that exists, or one that makes it; raises FieldInvalid."""
    common: dict[str, Any] = {"flag_set_id": request.flag_set_id, "key": request.key}
    if request.WhichOneof("change") == "rollout":
        seed, by = request.rollout.seed, request.rollout.bucket_by
        return flag_changes.RollOut(**common, shares=shares(request.rollout), seed=seed, bucket_by=by)
    if exists:
        etag = request.edit.flag.etag
        return flag_changes.EditFlag(**common, etag=etag, values=edited_values(request.edit))
    flag = flags_pb2.Flag()
    flag.CopyFrom(request.edit.flag)
    flag.key = request.key
    return flag_changes.CreateFlag(**common, draft=draft(flag))


def state(value: flags_pb2.FlagState.ValueType) -> FlagState | None:
    return _STATES.find(value)


def period(value: pb.UsagePeriod.ValueType) -> UsagePeriod:
    return _PERIODS.find(value) or UsagePeriod.MINUTE


def flag(kept: Flag) -> flags_pb2.Flag:
    return flags_pb2.Flag(
        flag_set_id=kept.flag_set_id,
        key=kept.key,
        type=_TYPES.wire(kept.type),
        state=_STATES.wire(kept.state),
        variants={name: wire(each) for name, each in kept.variants.items()},
        default_variant=kept.default_variant,
        targeting=wire_object(kept.targeting) if kept.targeting else None,
        metadata=wire_object(kept.metadata) if kept.metadata else None,
        prerequisites=[
            flags_pb2.Prerequisite(flag_key=each.flag_key, variants=each.variants) for each in kept.prerequisites
        ],
        description=kept.description,
        owner=kept.owner,
        ticket=kept.ticket,
        expire_time=timestamp(kept.expire_time),
        archived=kept.archived,
        version=kept.version,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def optional_flag(kept: Flag | None) -> flags_pb2.Flag | None:
    return None if kept is None else flag(kept)


def version(kept: FlagVersion) -> flags_pb2.FlagVersion:
    return flags_pb2.FlagVersion(
        flag=flag(kept.flag),
        change=_CHANGES.wire(kept.change),
        comment=kept.comment,
        changed_by=id_text(kept.changed_by),
        approved_by=id_text(kept.approved_by),
        create_time=timestamp(kept.flag.update_time),
    )


def count(served: Served) -> flags_pb2.VariantCount:
    return flags_pb2.VariantCount(variant=served.variant, start_time=timestamp(served.start_time), count=served.count)


def stale(found: Stale) -> flags_pb2.StaleFlag:
    return flags_pb2.StaleFlag(
        flag=flag(found.flag),
        reason=_STALE_REASONS.wire(found.reason),
        since_time=timestamp(found.since),
        variant=found.variant,
    )


def evaluation(found: Evaluation | Refusal | None, error: str = "") -> flags_pb2.Evaluation | None:
    """None where there is no such flag; what cannot be evaluated says why."""
    if isinstance(found, Refusal):
        cause = found.__cause__ if isinstance(found, TargetingFailed) else None
        why = f"{type(cause).__name__}: {cause}" if cause else found.message()
        return flags_pb2.Evaluation(reason="ERROR", error=why)
    if found is None:
        return flags_pb2.Evaluation(reason="ERROR", error=error) if error else None
    value = None if found.variant is None else wire(found.value)
    return flags_pb2.Evaluation(variant=found.variant or "", value=value, reason=found.reason)


def trial(found: Trial) -> pb.Trial:
    return pb.Trial(current=evaluation(found.current), tried=evaluation(found.tried))


def differ(found: Trial) -> bool:
    """Whether the variant would be another."""
    return _served(found.current) != _served(found.tried)


def explanation(found: Explanation, configuration_version: int) -> pb.ExplainFlagResponse:
    return pb.ExplainFlagResponse(
        evaluation=evaluation(found.evaluation, found.error),
        rules=map(_rule, found.rules),
        buckets=map(_bucket, found.buckets),
        prerequisites=map(_prerequisite, found.prerequisites),
        summary=found.summary,
        configuration_version=configuration_version,
    )


def _rule(asked: AskedRule) -> flags_pb2.RuleTrace:
    condition = orjson.dumps(asked.condition).decode()
    return flags_pb2.RuleTrace(path=asked.path, condition=condition, result=wire(asked.result), matched=asked.matched)


def _bucket(asked: AskedBucket) -> flags_pb2.BucketTrace:
    choice = asked.choice
    return flags_pb2.BucketTrace(
        path=asked.path,
        hashed=choice.hashed,
        hash=choice.hash,
        bucket=choice.bucket,
        total_weight=choice.total_weight,
        variant="" if choice.variant is None else str(choice.variant),
    )


def _prerequisite(asked: AskedPrerequisite) -> flags_pb2.PrerequisiteTrace:
    missing = "there is no flag of this key"
    return flags_pb2.PrerequisiteTrace(
        flag_key=asked.flag_key, evaluation=evaluation(asked.evaluation, missing), met=asked.met
    )


def _served(found: Evaluation | TargetingFailed | None) -> str | None:
    return found.variant if isinstance(found, Evaluation) else None


def _type_name(flag: flags_pb2.Flag) -> str | None:
    found = _TYPES.find(flag.type)
    return found.value if found else None


def _variants(flag: flags_pb2.Flag) -> Mapping[str, Any]:
    return {name: plain(each) for name, each in flag.variants.items()}


def pieces(text: str, most_bytes: int) -> Iterator[str]:
    """A text in pieces of up to so many bytes, none of which ends within a character."""
    encoded = text.encode()
    start = 0
    while start < len(encoded):
        end = start + most_bytes
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:
            end -= 1
        yield encoded[start:end].decode()
        start = end


def contexts(request: pb.TryFlagRequest) -> Sequence[Mapping[str, Any]]:
    return [plain_object(each) for each in request.contexts]
