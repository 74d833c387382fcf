"""What an operator is told when the database is in trouble: libpq's own words, and the mend."""

from collections.abc import Mapping

from storage.errors import StoreContention, StoreError, StoreTimeout, StoreUnavailable
from storage.trouble import Kind

UNANSWERED = "the database does not answer"

POOLER_MEND = "set BACKROOM_DATABASE_POOLER to its pool mode, transaction or session"

_MENDS: Mapping[Kind, str] = {
    Kind.UNKNOWN: "",
    Kind.ABSENT: "start PostgreSQL there, or correct the host and the port in {setting}",
    Kind.NAME: "correct the host in {setting}",
    Kind.SILENT: "see whether the host in {setting} is up and a firewall lets us through",
    Kind.LOST: "it is tried again",
    Kind.STARTING: "wait until it is ready",
    Kind.FULL: "raise its max_connections, or have fewer processes",
    Kind.BUSY: "it is tried again",
    Kind.STANDBY: "have {setting} name the primary",
    Kind.PASSWORD: "correct the user and the password in {setting}; in it, @ is written as %40, / as %2F and % as %25",
    Kind.ROLE: "create the role and let it log in, or correct the user in {setting}",
    Kind.DATABASE: "create it with createdb, or correct the name in {setting}",
    Kind.ENTRY: "have pg_hba.conf let this role in from here, or try sslmode=require in {setting}",
    Kind.TLS: "correct sslmode and sslrootcert in {setting}, or the server's certificate",
    Kind.RIGHTS: "grant it to the role in {setting}: backroom doctor lists what is missing",
    Kind.VERSION: "upgrade PostgreSQL, or have {setting} name a newer one",
    Kind.POOLER: POOLER_MEND,
    Kind.LIMITS: "run backroom migrate, which sets them for the role in {setting}",
}


def explained(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """One line, without secrets: which setting it is about, what is the matter, and the mend."""
    mended = mend(error, setting)
    return f"{setting}: {said(error)}{'; ' if mended else ''}{mended}"


def said(error: StoreError) -> str:
    """What is the matter, without secrets."""
    if isinstance(error, StoreContention):
        return "other transactions hold what this one needs"
    if isinstance(error, StoreTimeout):
        return "a statement took longer than the database allows"
    return str(error) or UNANSWERED


def mend(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """What to do about it; empty where nobody knows."""
    if isinstance(error, StoreUnavailable):
        return _MENDS[error.trouble.kind].format(setting=setting)
    return "try again"
