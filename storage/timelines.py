"""On which timeline a database is: what is remembered by transaction ids is valid on one alone.

A standby that is promoted continues with the ids that it has received, and hands out again those that it has not.
It begins a new timeline with that, as a database does that is restored to a point in time.
"""

from sqlalchemy import Text, literal_column

TIMELINE = literal_column(
    "(SELECT to_hex(system_identifier) FROM pg_control_system()) || '.' || lower(left(pg_walfile_name('0/0'), 8))", Text
)
"""The database's system identifier and the timeline that it writes on.

Every role may read both. The name of a WAL file shows a promotion immediately; what pg_control_checkpoint() says
changes with the next checkpoint only. On a standby it fails with 55000 (recovery is in progress).
"""
