"""Proposals, and the schedules and imports that may be in them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backroom.flags.v1 import flags_pb2, proposals_pb2
from server.flags.messages import flags, sets
from server.flags.rules.changes import ImportSummary
from server.flags.rules.proposals import shown_of
from server.flags.rules.schedules import ScheduleDraft
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, time_of, timestamp
from storage.flags.records import Proposal, ProposalState, Schedule, ScheduleState

_PROPOSAL_STATES = EnumNames(ProposalState, proposals_pb2.ProposalState)
_SCHEDULE_STATES = EnumNames(ScheduleState, flags_pb2.ScheduleState)


def proposal_state(value: proposals_pb2.ProposalState.ValueType) -> ProposalState | None:
    return _PROPOSAL_STATES.find(value)


def schedule_state(value: flags_pb2.ScheduleState.ValueType) -> ScheduleState | None:
    return _SCHEDULE_STATES.find(value)


def schedule_draft(given: flags_pb2.FlagSchedule) -> ScheduleDraft:
    """Raises FieldInvalid where a step names a field that cannot be changed, or a share is finer than may be."""
    steps = [_step_given(each, f"schedule.steps[{place}]") for place, each in enumerate(given.steps)]
    return ScheduleDraft(given.flag_set_id, given.flag_key, steps, given.comment)


def schedule(kept: Schedule) -> flags_pb2.FlagSchedule:
    taken = [*kept.take_times, *(None for _ in range(len(kept.take_times), len(kept.steps)))]
    return flags_pb2.FlagSchedule(
        schedule_id=id_text(kept.id),
        flag_set_id=kept.flag_set_id,
        flag_key=kept.flag_key,
        steps=[_step(each, time) for each, time in zip(kept.steps, taken, strict=True)],
        state=_SCHEDULE_STATES.wire(kept.state),
        taken_count=len(kept.take_times),
        error=kept.error,
        comment=kept.comment,
        created_by=id_text(kept.created_by),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def summary(kept: ImportSummary) -> proposals_pb2.ImportSummary:
    return proposals_pb2.ImportSummary(
        created_count=kept.created,
        updated_count=kept.updated,
        unchanged_count=kept.unchanged,
        archived_count=kept.archived,
        changed_segment_count=kept.changed_segments,
    )


def proposal(kept: Proposal) -> proposals_pb2.Proposal:
    shown = shown_of(kept)
    return proposals_pb2.Proposal(
        proposal_id=id_text(kept.id),
        state=_PROPOSAL_STATES.wire(kept.state),
        call=kept.call,
        comment=kept.comment,
        proposed_by=id_text(kept.proposed_by),
        decided_by=id_text(kept.decided_by),
        decision_comment=kept.decision_comment,
        flag=flags.optional_flag(shown.flag),
        flag_set=sets.optional_set(shown.flag_set),
        segment=sets.optional_segment(shown.segment),
        deleted_segment=sets.optional_segment(shown.deleted_segment),
        schedule=schedule(shown.schedule) if shown.schedule else None,
        create_time=timestamp(kept.create_time),
        decide_time=timestamp(kept.decide_time),
        **({"import": summary(shown.summary)} if shown.summary else {}),
    )


def optional_proposal(kept: Proposal | None) -> proposals_pb2.Proposal | None:
    return None if kept is None else proposal(kept)


def _step_given(step: flags_pb2.ScheduleStep, path: str) -> Mapping[str, Any]:
    time = time_of(step.time).isoformat()
    if step.WhichOneof("change") == "edit":
        try:
            return {"time": time, "edit": flags.edited_values(step.edit)}
        except FieldInvalid as refusal:
            raise FieldInvalid.of(f"{path}.edit.{refusal.fields[0].path}", refusal.fields[0].description) from None
    out = step.rollout
    rollout = {"shares": flags.shares(out, f"{path}.rollout"), "seed": out.seed, "bucket_by": out.bucket_by}
    return {"time": time, "rollout": rollout}


def _step(kept: Mapping[str, Any], take_time: datetime | None) -> flags_pb2.ScheduleStep:
    time, taken = timestamp(datetime.fromisoformat(kept["time"])), timestamp(take_time)
    if "edit" in kept:
        return flags_pb2.ScheduleStep(time=time, take_time=taken, edit=flags.edit_shown(kept["edit"]))
    given = kept["rollout"]
    shares = [flags_pb2.Share(variant=name, percent=share / 1000) for name, share in given["shares"].items()]
    rollout = flags_pb2.Rollout(shares=shares, seed=given["seed"], bucket_by=given["bucket_by"])
    return flags_pb2.ScheduleStep(time=time, take_time=taken, rollout=rollout)
