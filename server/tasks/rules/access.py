"""What a member may do: its role in the project decides, and to everybody else the project does not exist."""

from uuid import UUID

from server.tasks.errors import NotTheAuthor, ProjectArchived, ProjectNotFound, RoleTooLow
from storage.tasks.records import Comment, Membership, Project, ProjectRole, TimeEntry

MOST_MEMBERS = 200
MOST_PROJECTS = 200
"""Of one account: a list of all its tasks looks into each of them."""
MOST_SAVED_FILTERS = 100
MOST_RECURRING_TASKS = 100


def member(found: Membership | None, project_id: UUID) -> Membership:
    """Raises ProjectNotFound where the caller is no member."""
    if found is None:
        raise ProjectNotFound(project_id=str(project_id))
    return found


def check_role(membership: Membership, needed: ProjectRole) -> None:
    """Raises RoleTooLow."""
    if membership.role < needed:
        raise RoleTooLow(needed=needed.name)


def check_open(project: Project) -> None:
    """Raises ProjectArchived."""
    if project.archived:
        raise ProjectArchived(project_id=str(project.id))


def check_change(membership: Membership, needed: ProjectRole) -> None:
    """Raises RoleTooLow, ProjectArchived."""
    check_role(membership, needed)
    check_open(membership.project)


def check_author(note: Comment | TimeEntry, account_id: UUID) -> None:
    """Raises NotTheAuthor."""
    if note.author_id != account_id:
        raise NotTheAuthor
