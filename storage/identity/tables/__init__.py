"""identity's tables, a file for each kind of thing."""

from storage.identity.tables import accounts, attempts, keys, mails, sessions

__all__ = ["accounts", "attempts", "keys", "mails", "sessions"]
