"""The answers of tasks that are kept for repeated requests."""

from server.frame.answers import AnswerKind
from storage.tasks.records import Comment, Member, Membership, RecurringTask, SavedFilter, Task, TimeEntry

PROJECT = AnswerKind("tasks.project", Membership)
MEMBER = AnswerKind("tasks.member", Member)
TASK = AnswerKind("tasks.task", Task)
COMMENT = AnswerKind("tasks.comment", Comment)
TIME_ENTRY = AnswerKind("tasks.time_entry", TimeEntry)
SAVED_FILTER = AnswerKind("tasks.saved_filter", SavedFilter)
RECURRING_TASK = AnswerKind("tasks.recurring_task", RecurringTask)
