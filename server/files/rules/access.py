"""Who may see and change which files, and which are served."""

from uuid import UUID

from server.files.errors import FileNotFound, FileNotServed, LegalHold, NotTheOwner
from server.frame.caller import Caller
from storage.files.records import File, FileAudience, FileChange, FileState

UPLOAD, READ, MANAGE = "files.upload", "files.read", "files.manage"


def sees_all(caller: Caller) -> bool:
    """Whether a caller sees everyone's files."""
    return caller.may(READ) or caller.may(MANAGE)


def check_may_see(file: File | None, caller: Caller) -> File:
    """The file; raises FileNotFound where the caller does not see it, or there is none."""
    if file is None or not (file.owner_id == caller.account_id or sees_all(caller)):
        raise FileNotFound
    return file


def check_may_delete(file: File | None, caller: Caller) -> File:
    """The file; raises FileNotFound, NotTheOwner."""
    found = check_may_see(file, caller)
    if found.owner_id != caller.account_id and not caller.may(MANAGE):
        raise NotTheOwner(permission=MANAGE)
    return found


def check_not_held(file: File) -> None:
    """Raises LegalHold."""
    if file.legal_hold:
        raise LegalHold


def check_uploads(file: File | None, caller: Caller) -> File:
    """The file, which the caller uploads or uploaded itself; raises FileNotFound."""
    if file is None or file.owner_id != caller.account_id:
        raise FileNotFound
    return file


def check_served(state: FileState, *, serve_unscannable: bool) -> None:
    """Raises FileNotServed of any content that was not found to be clean."""
    if state is FileState.CLEAN or (state is FileState.UNSCANNABLE and serve_unscannable):
        return
    raise FileNotServed(state=state.value)


def audience_of(caller: Caller, file_id: UUID | None) -> FileAudience:
    """Which changes a caller gets."""
    return FileAudience(None if sees_all(caller) else caller.account_id, file_id)


def concerns(change: FileChange, audience: FileAudience) -> bool:
    """Whether an audience gets a change."""
    file = change.listed.file
    if audience.owner_id is not None and file.owner_id != audience.owner_id:
        return False
    return audience.file_id is None or file.id == audience.file_id
