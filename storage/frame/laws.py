"""What must hold of the frame's data."""

from collections.abc import Sequence

from storage.laws import Law

_REQUESTS = "SELECT count(*) FROM frame.request_ids"
_SEALS = "SELECT count(*) FROM frame.audit_seals"
_ENTRIES = "SELECT count(*) FROM frame.audit_entries"

LAWS: Sequence[Law] = (
    Law(
        "I8",
        "each request that was acknowledged has its one answer",
        _REQUESTS,
        "SELECT request_id FROM frame.request_ids WHERE answer IS NULL",
    ),
    Law(
        "I10",
        "each received event has taken effect, or its job is in the queue",
        "SELECT count(*) FROM frame.inbox",
        """
        SELECT source || ' ' || event_id FROM frame.inbox WHERE process_time IS NULL AND NOT EXISTS (
            SELECT FROM procrastinate_jobs
            WHERE status <> 'succeeded' AND args ->> 'source' = inbox.source AND args ->> 'event_id' = inbox.event_id
        )
        """,
    ),
    Law(
        "I12",
        "the chain that seals the record has no gap, and an event at each of its places",
        _SEALS,
        """
        SELECT position FROM (
            SELECT position, sequence, lag(position, 1, 0::bigint) OVER (ORDER BY position) AS before
            FROM frame.audit_seals
        ) AS place LEFT JOIN frame.audit_entries USING (sequence)
        WHERE position <> before + 1 OR audit_entries.id IS NULL
        """,
    ),
    Law(
        "I12",
        "each entry of the audit record is in the chain, or came after the last that is",
        _ENTRIES,
        """
        WITH horizon AS (
            SELECT transaction_id, sequence FROM frame.audit_seals JOIN frame.audit_entries USING (sequence)
            ORDER BY position DESC LIMIT 1
        )
        SELECT audit_entries.sequence FROM frame.audit_entries, horizon
        WHERE (audit_entries.transaction_id, audit_entries.sequence) <= (horizon.transaction_id, horizon.sequence)
            AND horizon.transaction_id < pg_snapshot_xmax(pg_current_snapshot())
            AND NOT EXISTS (SELECT FROM frame.audit_seals WHERE audit_seals.sequence = audit_entries.sequence)
        """,
    ),
)
