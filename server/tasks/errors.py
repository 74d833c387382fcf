"""Why tasks refuses."""

from server.frame.errors import Code, Refusal


class ProjectNotFound(Refusal):
    """No project that you are a member of has the id {project_id}."""

    code = Code.NOT_FOUND


class TaskNotFound(Refusal):
    """No task of your projects is {task}."""

    code = Code.NOT_FOUND


class CommentNotFound(Refusal):
    """No comment in your projects has the id {comment_id}."""

    code = Code.NOT_FOUND


class TimeEntryNotFound(Refusal):
    """No time entry in your projects has the id {time_entry_id}."""

    code = Code.NOT_FOUND


class SavedFilterNotFound(Refusal):
    """You have no saved filter with the id {saved_filter_id}."""

    code = Code.NOT_FOUND


class RecurringTaskNotFound(Refusal):
    """No recurring task of your projects has the id {recurring_task_id}."""

    code = Code.NOT_FOUND


class MemberNotFound(Refusal):
    """The account {account_id} is not a member of the project."""

    code = Code.NOT_FOUND


class NoSuchAccount(Refusal):
    """No account that can sign in has the id {account_id}."""

    code = Code.NOT_FOUND


class RoleTooLow(Refusal):
    """Your role in the project does not allow this: it needs the role {needed}."""

    code = Code.PERMISSION_DENIED


class NotTheAuthor(Refusal):
    """This is another account's: only its author may do that."""

    code = Code.PERMISSION_DENIED


class ProjectKeyTaken(Refusal):
    """Another project has this key: choose another one."""

    code = Code.ALREADY_EXISTS


class ProjectArchived(Refusal):
    """The project {project_id} is archived, and its tasks can be read only."""

    code = Code.FAILED_PRECONDITION


class LastOwner(Refusal):
    """A project needs an owner: make another member an owner first."""

    code = Code.FAILED_PRECONDITION


class CustomFieldConflict(Refusal):
    """A declared custom field, or one of its choices, cannot be left out or change its type: archive it instead."""

    code = Code.FAILED_PRECONDITION


class AssigneeNotMember(Refusal):
    """The assignee {account_id} is not a member of the project: add it first."""

    code = Code.FAILED_PRECONDITION


class LinkedTaskNotFound(Refusal):
    """The task's project has no other task with the id {task_id}."""

    code = Code.FAILED_PRECONDITION


class ParentCircle(Refusal):
    """The task would be above itself."""

    code = Code.FAILED_PRECONDITION


class BlockerCircle(Refusal):
    """The task would wait for itself."""

    code = Code.FAILED_PRECONDITION


class TooDeep(Refusal):
    """More than {most} tasks would be above one."""

    code = Code.FAILED_PRECONDITION


class TaskDoesNotFit(Refusal):
    """The task does not fit into the other project."""

    code = Code.FAILED_PRECONDITION


class LimitReached(Refusal):
    """There may be at most {most} {what}."""

    code = Code.FAILED_PRECONDITION
