class NotInstalled(Exception):
    """The package with the embedded PostgreSQL is not installed."""


class EmbeddedPostgresFailed(Exception):
    """The embedded PostgreSQL cannot be made, started or stopped; the text, one line, says why and the mend."""
