"""Why flags refuses."""

from server.frame.errors import Code, Refusal, printable


class FlagNotFound(Refusal):
    """The flag set {flag_set_id} has no flag {flag_key}."""

    code = Code.NOT_FOUND

    def sentence(self) -> str:
        if self.metadata.get("flag_set_id"):
            return super().sentence()
        return f"There is no flag {printable(self.metadata['flag_key'])}."


class FlagKeyTaken(Refusal):
    """A flag {flag_key} exists in this flag set."""

    code = Code.ALREADY_EXISTS


class FlagInvalid(Refusal):
    """No client could evaluate the flags as they would be."""

    code = Code.INVALID_ARGUMENT


class FlagArchived(Refusal):
    """The flag {flag_key} is archived: roll it back to a version of before first."""

    code = Code.FAILED_PRECONDITION


class FlagInUse(Refusal):
    """Other flags name {flag_key} as a prerequisite."""

    code = Code.FAILED_PRECONDITION


class FlagVersionNotFound(Refusal):
    """The flag {flag_key} has no version {version}."""

    code = Code.NOT_FOUND


class RolloutUnsuited(Refusal):
    """The flag {flag_key} cannot be rolled out: {why}."""

    code = Code.FAILED_PRECONDITION


class TooManyFlags(Refusal):
    """There may be at most {most} {what}."""

    code = Code.FAILED_PRECONDITION


class FlagSetNotFound(Refusal):
    """There is no flag set {flag_set_id}."""

    code = Code.NOT_FOUND


class SegmentNotFound(Refusal):
    """The flag set has no segment {name}."""

    code = Code.NOT_FOUND


class SegmentNameTaken(Refusal):
    """A segment {name} exists in this flag set."""

    code = Code.ALREADY_EXISTS


class SegmentInUse(Refusal):
    """Flags or segments refer to the segment {name}."""

    code = Code.FAILED_PRECONDITION


class ProposalNotFound(Refusal):
    """No proposal has the id {proposal_id}."""

    code = Code.NOT_FOUND


class ProposalDecided(Refusal):
    """The proposal was decided before: it is {state}."""

    code = Code.FAILED_PRECONDITION


class OwnProposal(Refusal):
    """Somebody else has to decide on a proposal than the account that made it."""

    code = Code.PERMISSION_DENIED


class ProposalOutdated(Refusal):
    """What the proposal changes has changed since: propose it again."""

    code = Code.ABORTED


class ScheduleNotFound(Refusal):
    """No schedule has the id {schedule_id}."""

    code = Code.NOT_FOUND


class ScheduleStateForbids(Refusal):
    """The schedule is {state}: this needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class TypeMismatch(Refusal):
    """The flag {flag_key} is of the type {type}, and not {wanted}."""

    code = Code.INVALID_ARGUMENT


class TargetingFailed(Refusal):
    """The targeting of the flag {flag_key} cannot be evaluated with this context."""

    code = Code.INTERNAL


class FlagSetTooLarge(Refusal):
    """The flag set {flag_set_id} takes {size_bytes} bytes as JSON, and clients take {limit_bytes}: divide it."""

    code = Code.FAILED_PRECONDITION


class SelectorInvalid(Refusal):
    """The selector must be of the form "flagSetId=<id>"."""

    code = Code.INVALID_ARGUMENT
