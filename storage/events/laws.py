"""What must hold of what events keeps, in addition to what the database itself refuses."""

from collections.abc import Sequence

from storage.laws import Law

LAWS: Sequence[Law] = (
    Law(
        "I32",
        "no event is stored twice within the 30 days in which it is known again",
        "SELECT count(*) FROM events.events",
        """
        SELECT source || ' ' || id FROM events.events GROUP BY source, id
        HAVING count(*) > 1 AND max(receive_time) - min(receive_time) < interval '30 days'
        """,
    ),
    Law(
        "I33",
        "each batch of the last 30 days has as many keys as it stored events, and no more events than that",
        "SELECT count(*) FROM events.batches",
        """
        SELECT batches.sequence FROM events.batches
            LEFT JOIN (SELECT batch, count(*) AS count FROM events.keys GROUP BY batch) AS claimed
                ON claimed.batch = batches.sequence
            LEFT JOIN (SELECT sequence / 65536 AS batch, count(*) AS count FROM events.events GROUP BY 1) AS stored
                ON stored.batch = batches.sequence
        WHERE batches.receive_time > now() - interval '30 days'
            AND (coalesce(claimed.count, 0) <> event_count OR stored.count > event_count)
        """,
    ),
    Law(
        "I34",
        "no two events have one sequence, and each lies within its batch's times as long as that is logged",
        "SELECT count(*) FROM events.events",
        """
        SELECT min(id) FROM events.events GROUP BY sequence HAVING count(*) > 1
        UNION ALL
        SELECT id FROM events.events JOIN events.batches ON batches.sequence = events.sequence / 65536
        WHERE time < first_time OR time > last_time
        """,
    ),
)
