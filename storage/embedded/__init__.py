"""The embedded PostgreSQL: a first run and the tests need nothing installed.

It listens on a Unix socket alone, in a folder that nobody else may enter.
Why it is started in this way: docs/decisions/0017.
"""

from storage.embedded.postmaster import running_url
from storage.embedded.programs import EmbeddedPostgresFailed, NotInstalled
from storage.embedded.server import EmbeddedPostgres
from storage.embedded.temporary import temporary_postgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed", "NotInstalled", "running_url", "temporary_postgres"]
