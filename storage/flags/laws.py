"""What must hold of stored flags: each is what its history says, and nobody approved a change of their own."""

from collections.abc import Sequence

from storage.laws import Law

_FLAGS = "SELECT count(*) FROM flags.flags"
_SEGMENTS = "SELECT count(*) FROM flags.segments"
_VERSIONS = "SELECT count(*) FROM flags.flag_versions"

LAWS: Sequence[Law] = (
    Law(
        "I14",
        "each flag and segment is what its last version says",
        f"SELECT ({_FLAGS}) + ({_SEGMENTS})",
        """
        SELECT flags.id FROM flags.flags LEFT JOIN flags.flag_versions
            ON flag_id = flags.id AND flag_versions.version = flags.version
        WHERE flag_id IS NULL OR flags.configuration_version <> flag_versions.configuration_version
            OR flag_versions.document - ARRAY['expire_time', 'create_time', 'update_time'] IS DISTINCT FROM
                flags.document || jsonb_build_object('flag_set_id', flag_set_id, 'key', key, 'type', type,
                    'state', state, 'description', description, 'owner', owner, 'ticket', ticket,
                    'archived', archived)
            OR (flag_versions.document ->> 'expire_time')::timestamptz IS DISTINCT FROM flags.expire_time
        UNION SELECT segments.id FROM flags.segments LEFT JOIN flags.segment_versions
            ON segment_id = segments.id AND segment_versions.version = segments.version
        WHERE segment_id IS NULL OR segments.configuration_version <> segment_versions.configuration_version
            OR (segments.rule, segments.archived) IS DISTINCT FROM (segment_versions.rule, segment_versions.archived)
        """,
    ),
    Law(
        "I15",
        "the versions of each flag and segment count from 1 without a gap, and their configuration versions grow",
        f"SELECT ({_VERSIONS}) + (SELECT count(*) FROM flags.segment_versions)",
        """
        SELECT flags.id FROM flags.flags LEFT JOIN flags.flag_versions ON flag_id = flags.id
            GROUP BY flags.id, flags.version
            HAVING count(*) <> flags.version OR min(flag_versions.version) IS DISTINCT FROM 1
                OR max(flag_versions.version) <> flags.version
        UNION SELECT segments.id FROM flags.segments LEFT JOIN flags.segment_versions ON segment_id = segments.id
            GROUP BY segments.id, segments.version
            HAVING count(*) <> segments.version OR min(segment_versions.version) IS DISTINCT FROM 1
                OR max(segment_versions.version) <> segments.version
        UNION SELECT id FROM (
            SELECT flag_id AS id, configuration_version <= lag(configuration_version)
                OVER (PARTITION BY flag_id ORDER BY version) AS back FROM flags.flag_versions
            UNION ALL SELECT segment_id, configuration_version <= lag(configuration_version)
                OVER (PARTITION BY segment_id ORDER BY version) FROM flags.segment_versions
        ) AS step WHERE back
        """,
    ),
    Law(
        "I16",
        "no change is newer than the configuration version that servers are notified of",
        f"SELECT ({_FLAGS}) + ({_SEGMENTS}) + (SELECT count(*) FROM flags.flag_sets)",
        """
        SELECT id FROM (
            SELECT id::text, configuration_version FROM flags.flags
            UNION ALL SELECT id::text, configuration_version FROM flags.segments
            UNION ALL SELECT id, configuration_version FROM flags.flag_sets
        ) AS change WHERE configuration_version > (SELECT coalesce(max(version), 0) FROM flags.configuration)
        """,
    ),
    Law(
        "I17",
        "whoever approved a change is known, and did not propose it",
        f"SELECT ({_VERSIONS}) + (SELECT count(*) FROM flags.proposals)",
        """
        SELECT id FROM flags.proposals WHERE state = 'approved'
            AND (decided_by IS NULL OR decided_by = proposed_by)
        UNION SELECT flag_id FROM flags.flag_versions WHERE approved_by = changed_by
        UNION SELECT segment_id FROM flags.segment_versions WHERE approved_by = changed_by
        """,
    ),
)
