"""Why flags refuses."""

from server.frame.errors import Code, Refusal


class FlagNotFound(Refusal):
    """The flag set {flag_set_id} has no flag {flag_key}."""

    code = Code.NOT_FOUND
    reason = "FLAG_NOT_FOUND"

    def sentence(self) -> str:
        if self.metadata.get("flag_set_id"):
            return super().sentence()
        return f"There is no flag {self.metadata['flag_key']}."


class FlagKeyTaken(Refusal):
    """A flag {flag_key} exists in this flag set."""

    code = Code.ALREADY_EXISTS
    reason = "FLAG_KEY_TAKEN"


class FlagInvalid(Refusal):
    """No client could evaluate the flags as they would be."""

    code = Code.INVALID_ARGUMENT
    reason = "FLAG_INVALID"


class FlagArchived(Refusal):
    """The flag {flag_key} is archived: roll it back to a version of before first."""

    code = Code.FAILED_PRECONDITION
    reason = "FLAG_ARCHIVED"


class FlagInUse(Refusal):
    """Other flags name {flag_key} as a prerequisite."""

    code = Code.FAILED_PRECONDITION
    reason = "FLAG_IN_USE"


class FlagVersionNotFound(Refusal):
    """The flag {flag_key} has no version {version}."""

    code = Code.NOT_FOUND
    reason = "FLAG_VERSION_NOT_FOUND"


class RolloutUnsuited(Refusal):
    """The flag {flag_key} cannot be rolled out: {why}."""

    code = Code.FAILED_PRECONDITION
    reason = "ROLLOUT_UNSUITED"


class TooManyFlags(Refusal):
    """There may be at most {most} {what}."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_FLAGS"


class FlagSetNotFound(Refusal):
    """There is no flag set {flag_set_id}."""

    code = Code.NOT_FOUND
    reason = "FLAG_SET_NOT_FOUND"


class SegmentNotFound(Refusal):
    """The flag set has no segment {name}."""

    code = Code.NOT_FOUND
    reason = "SEGMENT_NOT_FOUND"


class SegmentNameTaken(Refusal):
    """A segment {name} exists in this flag set."""

    code = Code.ALREADY_EXISTS
    reason = "SEGMENT_NAME_TAKEN"


class SegmentInUse(Refusal):
    """Flags or segments refer to the segment {name}."""

    code = Code.FAILED_PRECONDITION
    reason = "SEGMENT_IN_USE"


class ProposalNotFound(Refusal):
    """No proposal has the id {proposal_id}."""

    code = Code.NOT_FOUND
    reason = "PROPOSAL_NOT_FOUND"


class ProposalDecided(Refusal):
    """The proposal was decided before: it is {state}."""

    code = Code.FAILED_PRECONDITION
    reason = "PROPOSAL_DECIDED"


class OwnProposal(Refusal):
    """Somebody else has to decide on a proposal than the account that made it."""

    code = Code.PERMISSION_DENIED
    reason = "OWN_PROPOSAL"


class ProposalOutdated(Refusal):
    """What the proposal changes has changed since: propose it anew."""

    code = Code.ABORTED
    reason = "PROPOSAL_OUTDATED"


class ScheduleNotFound(Refusal):
    """No schedule has the id {schedule_id}."""

    code = Code.NOT_FOUND
    reason = "SCHEDULE_NOT_FOUND"


class ScheduleStateForbids(Refusal):
    """The schedule is {state}: this needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION
    reason = "SCHEDULE_STATE_FORBIDS"


class TypeMismatch(Refusal):
    """The flag {flag_key} is of the type {type}, and not {wanted}."""

    code = Code.INVALID_ARGUMENT
    reason = "TYPE_MISMATCH"


class TargetingFailed(Refusal):
    """The targeting of the flag {flag_key} cannot be evaluated with this context."""

    code = Code.INTERNAL
    reason = "TARGETING_FAILED"


class SelectorInvalid(Refusal):
    """The selector must be of the form "flagSetId=<id>"."""

    code = Code.INVALID_ARGUMENT
    reason = "SELECTOR_INVALID"
