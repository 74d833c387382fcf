"""articles' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_EDITORS = ("manager", "service", "admin")
_AUTHORS = ("staff", *_EDITORS)
_READERS = ("customer", *_AUTHORS)

PERMISSIONS: Sequence[Permission] = (
    Permission("articles.browse", "Reads and searches what is published.", _READERS),
    Permission(
        "articles.write", "Writes articles, and changes, publishes and watches the account's own ones.", _AUTHORS
    ),
    Permission("articles.review", "Reads everyone's drafts, and approves and rejects revisions.", _EDITORS),
    Permission("articles.edit", "Reads, changes and publishes everyone's articles.", _EDITORS),
)
