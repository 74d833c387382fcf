"""The embedded PostgreSQL: a first run and the tests need nothing installed.

It listens on a Unix socket alone, in a folder that nobody else may enter. Decision 0017 says why it is started this way.
"""

from storage.embedded.errors import EmbeddedPostgresFailed, NotInstalled
from storage.embedded.postmaster import running_url
from storage.embedded.server import EmbeddedPostgres
from storage.embedded.temporary import temporary_postgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed", "NotInstalled", "running_url", "temporary_postgres"]
