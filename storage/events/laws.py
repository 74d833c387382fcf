"""What must hold of what events keeps, in addition to what the database itself refuses."""

from collections.abc import Sequence

from storage.laws import Law

_APART = "events"
"""As `storage.events.store` has it."""

LAWS: Sequence[Law] = (
    Law(
        "I34",
        "no event is stored twice within the 30 days in which it is known again",
        "SELECT count(*) FROM events.events",
        """
        SELECT source || ' ' || id FROM events.events GROUP BY source, id
        HAVING count(*) > 1 AND max(receive_time) - min(receive_time) < interval '30 days'
        """,
        apart=_APART,
    ),
    Law(
        "I35",
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
        apart=_APART,
    ),
    Law(
        "I36",
        "no two events have one sequence, and each lies within its batch's times as long as that is logged",
        "SELECT count(*) FROM events.events",
        """
        SELECT min(id) FROM events.events GROUP BY sequence HAVING count(*) > 1
        UNION ALL
        SELECT id FROM events.events JOIN events.batches ON batches.sequence = events.sequence / 65536
        WHERE time < first_time OR time > last_time
        """,
        apart=_APART,
    ),
    Law(
        "I37",
        "rollups have each type's events of the last 31 days minute by minute, but for the minutes that are touched",
        "SELECT count(*) FROM events.rollups WHERE level = 0 AND bucket >= now() - interval '31 days'",
        """
        SELECT coalesce(counted.type, rolled.type) || ' ' || coalesce(counted.bucket, rolled.bucket)
        FROM (
            SELECT type, date_trunc('minute', time, 'UTC') AS bucket, count(*) AS count FROM events.events
            WHERE time >= date_trunc('minute', now() - interval '31 days') GROUP BY 1, 2
        ) AS counted FULL JOIN (
            SELECT substr(series, 6) AS type, bucket, count FROM events.rollups
            WHERE level = 0 AND series LIKE 'type:%' AND bucket >= date_trunc('minute', now() - interval '31 days')
        ) AS rolled ON rolled.type = counted.type AND rolled.bucket = counted.bucket
        WHERE counted.count IS DISTINCT FROM rolled.count AND NOT EXISTS (
            SELECT FROM events.touched WHERE touched.type = coalesce(counted.type, rolled.type)
                AND touched.minute = coalesce(counted.bucket, rolled.bucket)
        )
        """,
        apart=_APART,
    ),
    Law(
        "I38",
        "the rollups of an hour, and of a day, of the last 31 days are what those of its minutes, or hours, come to",
        "SELECT count(*) FROM events.rollups WHERE level > 0 AND bucket >= now() - interval '31 days'",
        """
        WITH recent AS (
            SELECT series, level, bucket, groups, count, total, low, high FROM events.rollups
            WHERE bucket >= date_trunc('day', now() - interval '31 days', 'UTC')
                AND (series LIKE 'type:%' OR substr(series, 7) IN (
                    SELECT meter_id::text FROM events.meter_progress WHERE ready_from_time IS NOT NULL
                ))
        ), expected AS (
            SELECT series, level + 1 AS level, groups, sum(count) AS count, sum(total) AS total, min(low) AS low,
                max(high) AS high, date_trunc(CASE level WHEN 0 THEN 'hour' ELSE 'day' END, bucket, 'UTC') AS bucket
            FROM recent WHERE level < 2 GROUP BY series, level, groups, 8
        )
        SELECT series || ' ' || bucket
        FROM expected FULL JOIN (SELECT * FROM recent WHERE level > 0) AS recent
            USING (series, level, bucket, groups)
        WHERE (recent.count, recent.total, recent.low, recent.high)
            IS DISTINCT FROM (expected.count::bigint, expected.total, expected.low, expected.high)
        """,
        apart=_APART,
    ),
)
