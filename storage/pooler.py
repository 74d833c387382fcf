from enum import StrEnum


class Pooler(StrEnum):
    """The connection pooler between us and PostgreSQL."""

    NONE = "none"
    SESSION = "session"
    """A client has a connection of the server's as long as it has its own."""
    TRANSACTION = "transaction"
    """A client has a connection of the server's for one transaction, and another one for the next."""
