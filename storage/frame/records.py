from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import uuid_utils.compat

Change = TypeVar("Change")

NOBODY = UUID(int=0)
"""The caller of a call that nobody signed."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What distinguishes one request from another: who sent it, under which id, with which content."""

    caller_id: UUID
    request_id: UUID
    digest: bytes
    """A digest of the method and the content; never the content."""

    @property
    def scope(self) -> tuple[UUID, UUID]:
        """What is unique: one caller's one id."""
        return (self.caller_id, self.request_id)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one attempt to come in, as it is recorded; never a payload, a password or a token."""

    create_time: datetime
    caller_id: UUID
    action: str
    """The method's full name, such as "backroom.commerce.v1.OrderService/CancelOrder", or the job's task."""
    resource: str
    """By kind and id, such as "order/0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11"."""
    address: str
    """The caller's network address; empty for a job."""
    call_id: str
    """Under which the server's log knows the call; empty for a job."""
    result: str = "OK"
    """Or the reason of the refusal."""
    id: UUID = field(default_factory=uuid_utils.compat.uuid7)
    """So that no two entries read alike, and a copy of one is known for what it is."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An entry as it is in the audit record, and its place in the sealed chain."""

    sequence: int
    transaction_id: int
    entry: AuditEntry
    key_id: str
    mac: bytes
    position: int = 0
    """From 1 on; 0 where it is not sealed yet."""
    hash: bytes = b""
    """The chain's hash up to here; empty where it is not sealed yet."""

    @property
    def key(self) -> tuple[int, int]:
        """By which the chain is ordered."""
        return (self.transaction_id, self.sequence)


@dataclass(frozen=True, slots=True)
class AuditSeal:
    """A place of the sealed chain."""

    position: int
    sequence: int
    """Of the entry at that place."""
    hash: bytes
    """Over the hash before, this place and the event."""
    key_id: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class AuditLink:
    """A place of the sealed chain with its event, which is None where that is gone."""

    seal: AuditSeal
    event: AuditEvent | None


@dataclass(frozen=True, slots=True)
class AuditAnchor:
    """Where the chain ends, or ended: the place of the last event, 0 where there is none, and the hash up to there."""

    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None means all."""

    caller_id: UUID | None = None
    action: str | None = None
    resource: str | None = None
    result: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """The context of a change, who requests it and how: who, for which one, when, from where, and how a repetition is
    known."""

    caller_id: UUID
    action: str
    time: datetime
    address: str = ""
    call_id: str = ""
    key: RequestKey | None = None

    def entry(self, resource: str, result: str = "OK") -> AuditEntry:
        """What is recorded of it."""
        return AuditEntry(self.time, self.caller_id, self.action, resource, self.address, self.call_id, result)


@dataclass(frozen=True, slots=True)
class AuditKey:
    """The key that the record's entries are signed with, so that nobody who has the database alone can write one."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to be claimed, with its answer where that is known beforehand."""

    key: RequestKey
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """A request as it first came, and the answer that it had."""

    digest: bytes
    answer: str | None
    commits_wait: bool = False
    """Whether a synchronous standby is to have it before it is answered again, and was not waited for yet."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as others learn of it."""

    type: str
    """What happened, such as "order.paid"."""
    subject_id: UUID
    """To what, such as the order."""
    data: str
    """Its content, JSON."""
    create_time: datetime


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log has it."""

    sequence: int
    type: str
    subject_id: UUID
    data: str = field(repr=False)
    """JSON."""
    create_time: datetime


EventKey = tuple[str, str]
"""The source of a received event and its sender's id of it."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event that another system sent, and whose signature was checked."""

    source: str
    event_id: str
    """The sender's id of it, the same each time it is sent."""
    body: bytes = field(repr=False)
    receive_time: datetime

    @property
    def key(self) -> EventKey:
        return (self.source, self.event_id)


@dataclass(frozen=True, slots=True)
class AccountDeletion:
    """The deletion of an account: ids and times alone."""

    account_id: UUID
    requested_by: UUID
    transfer_to: UUID | None
    """Who gets what can be handed over; None where that is erased, too."""
    erased_parts: tuple[str, ...]
    """In the order in which they were erased."""
    create_time: datetime
    complete_time: datetime | None = None
    """When all was erased; None until then."""


def module_of(task: str) -> str:
    """The module that a task is of, and the name of its queue."""
    return task.partition(".")[0]


class JobState(StrEnum):
    WAITING = "todo"
    RUNNING = "doing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that is not done yet."""

    id: int
    task: str
    args: Mapping[str, object]
    """Of any of JSON's types: a periodic job has its time there, as a number."""
    state: JobState
    attempts: int
    """How often it was started before."""
    run_at: datetime | None
    """Not before this time; None means immediately."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be done once this transaction has committed."""

    task: str
    """The kind of work, such as "commerce.pay"."""
    args: Mapping[str, str] = field(default_factory=dict)
    """What to work on, by ids: never a payload, since jobs are listed and logged."""
    queue: str = ""
    """Empty means the module's own."""
    run_at: datetime | None = None
    """Not before this time; None means immediately."""
    lock: str | None = None
    """Of the jobs with the same lock, one runs at a time, in their order."""
    priority: int = 0
    """Where jobs have to wait, those of a higher priority are done first."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends by now; see `storage.log`."""

    timeline: str
    """Of the database that the log is in; see `storage.timelines`."""
    snapshot: str
    """What of the log can be seen; stays valid after a crash of the database, too."""
    visible: str
    """What can be seen by now altogether; covers every snapshot of this timeline that was given before."""


@dataclass(frozen=True, slots=True)
class News(LogEnd):
    """What a look into a log found."""

    first: int | None
    """The lowest sequence of what is new; None where nothing is."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """A range of a log: what is new since one snapshot as of another, behind a sequence."""

    timeline: str
    since: str
    until: str
    after: int = 0


@dataclass(frozen=True, slots=True)
class ChangePage(Generic[Change]):
    """A page of a range."""

    changes: Sequence[Change]
    """In the order of their sequence."""
    last: int | None
    """Behind which sequence the next page begins; None after the last page."""
