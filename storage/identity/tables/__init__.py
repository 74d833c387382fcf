"""identity's tables, a file for each kind of thing."""

from storage.identity.tables import accounts, keys, sessions

__all__ = ["accounts", "keys", "sessions"]
