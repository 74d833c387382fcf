"""What must hold of files: each content is counted by its files, and what owners store by theirs."""

from collections.abc import Sequence

from storage.laws import Law

_FILES = "SELECT count(*) FROM files.files"
_CONTENTS = "SELECT count(*) FROM files.contents"

LAWS: Sequence[Law] = (
    Law(
        "I39",
        "each content has as many references as there are files that have it, and their size",
        _CONTENTS,
        """
        SELECT contents.sha256 FROM files.contents LEFT JOIN files.files ON files.sha256 = contents.sha256
        GROUP BY contents.sha256
        HAVING count(files.id) <> reference_count OR bool_or(files.size_bytes <> contents.size_bytes)
        """,
    ),
    Law(
        "I40",
        "each account's usage is the number and the size of its files, uploads under way among them",
        "SELECT count(DISTINCT owner_id) FROM files.files",
        """
        SELECT coalesce(usages.owner_id, mine.owner_id) FROM files.usages
        FULL JOIN (
            SELECT owner_id, count(*) AS file_count, sum(size_bytes) AS used_bytes FROM files.files GROUP BY owner_id
        ) AS mine ON mine.owner_id = usages.owner_id
        WHERE (coalesce(usages.file_count, 0), coalesce(usages.used_bytes, 0))
            <> (coalesce(mine.file_count, 0), coalesce(mine.used_bytes, 0))
        """,
    ),
    Law(
        "I41",
        "each upload's pieces follow each other without a gap, up to what was received, and no more than its size",
        "SELECT count(*) FROM files.files WHERE state = 'uploading'",
        """
        SELECT files.id FROM files.files LEFT JOIN files.uploads ON uploads.file_id = files.id
        LEFT JOIN LATERAL (
            SELECT count(*) AS pieces, coalesce(sum(size_bytes), 0) AS received,
                coalesce(bool_or(expected <> "offset"), false) AS gap
            FROM (
                SELECT "offset", size_bytes,
                    coalesce(sum(size_bytes) OVER (
                        ORDER BY "offset" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ), 0) AS expected
                FROM files.pieces WHERE pieces.file_id = files.id
            ) AS placed
        ) AS stored ON true
        WHERE (files.state = 'uploading') <> (uploads.file_id IS NOT NULL)
            OR uploads.received_bytes <> received OR uploads.piece_count <> pieces OR gap
            OR uploads.received_bytes > files.size_bytes
        """,
    ),
    Law(
        "I42",
        "each content that is served or refused has its verdict in the history, and no object has two owners",
        _CONTENTS,
        """
        SELECT contents.sha256 FROM files.contents LEFT JOIN files.verdicts
            ON verdicts.sha256 = contents.sha256 AND verdicts.create_time = contents.verdict_time
        WHERE contents.outcome IS NOT NULL AND verdicts.id IS NULL
        UNION ALL
        SELECT key FROM (
            SELECT key FROM files.contents UNION ALL SELECT key FROM files.pieces
            UNION ALL SELECT key FROM files.deletions
        ) AS keys GROUP BY key HAVING count(*) > 1
        """,
    ),
    Law(
        "I43",
        "each change of a file has one event",
        _FILES,
        """
        SELECT id FROM files.files LEFT JOIN (
            SELECT subject_id, count(*) AS told, count(DISTINCT (data::jsonb ->> 'version')::int) AS versions,
                max((data::jsonb ->> 'version')::int) AS last
            FROM frame.events WHERE type LIKE 'file.%' GROUP BY subject_id
        ) AS changes ON subject_id = id
        WHERE (told IS NULL OR told <> versions OR last <> version OR versions <> version)
            AND files.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
)
