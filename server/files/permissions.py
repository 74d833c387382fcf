"""files' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_ADMINS = ("service", "admin")
_READERS = ("manager", *_ADMINS)
_STAFF = ("staff", *_READERS)
_EVERYONE = ("customer", *_STAFF)

PERMISSIONS: Sequence[Permission] = (
    Permission("files.upload", "Uploads files, and downloads, watches and deletes the account's own ones.", _EVERYONE),
    Permission("files.large_quota", "Stores as much as BACKROOM_FILES_LARGE_QUOTA_BYTES says.", _STAFF),
    Permission("files.read", "Lists, downloads and watches everyone's files, and reads their verdicts.", _READERS),
    Permission(
        "files.manage",
        "Deletes everyone's files, puts them under legal hold, sets quotas, and has files scanned again.",
        _ADMINS,
    ),
)
