"""What must hold of what flags keeps: each flag is what its history says, and changes have two pairs of eyes."""

from collections.abc import Sequence

from storage.laws import Law

_FLAGS = "SELECT count(*) FROM flags.flags"
_VERSIONS = "SELECT count(*) FROM flags.flag_versions"

LAWS: Sequence[Law] = (
    Law(
        "I14",
        "each flag is what its last version says",
        _FLAGS,
        """
        SELECT flags.id FROM flags.flags LEFT JOIN flags.flag_versions
            ON flag_id = flags.id AND flag_versions.version = flags.version
        WHERE flag_id IS NULL OR flags.configuration_version <> flag_versions.configuration_version
            OR NOT flag_versions.document @> flags.document
            OR (flags.state, flags.type, flags.archived::text, flags.key, flags.flag_set_id) IS DISTINCT FROM (
                flag_versions.document ->> 'state', flag_versions.document ->> 'type',
                flag_versions.document ->> 'archived', flag_versions.document ->> 'key',
                flag_versions.document ->> 'flag_set_id'
            )
        """,
    ),
    Law(
        "I15",
        "the versions of each flag and segment count from 1 without a gap, and their configuration versions grow",
        _VERSIONS,
        """
        SELECT flags.id FROM flags.flags LEFT JOIN flags.flag_versions ON flag_id = flags.id
            GROUP BY flags.id, flags.version
            HAVING count(*) <> flags.version OR min(flag_versions.version) <> 1
                OR max(flag_versions.version) <> flags.version
        UNION SELECT segments.id FROM flags.segments LEFT JOIN flags.segment_versions ON segment_id = segments.id
            GROUP BY segments.id, segments.version
            HAVING count(*) <> segments.version OR min(segment_versions.version) <> 1
                OR max(segment_versions.version) <> segments.version
        UNION SELECT flag_id FROM (
            SELECT flag_id, configuration_version <= lag(configuration_version)
                OVER (PARTITION BY flag_id ORDER BY version) AS back FROM flags.flag_versions
        ) AS step WHERE back
        """,
    ),
    Law(
        "I16",
        "no change is newer than the configuration version that servers are told of",
        _FLAGS,
        """
        SELECT id FROM flags.flags WHERE configuration_version > (SELECT coalesce(max(version), 0)
            FROM flags.configuration)
        """,
    ),
    Law(
        "I17",
        "nobody approved a change of its own",
        f"SELECT ({_VERSIONS}) + (SELECT count(*) FROM flags.proposals)",
        """
        SELECT id FROM flags.proposals WHERE state = 'approved' AND decided_by = proposed_by
        UNION SELECT flag_id FROM flags.flag_versions WHERE approved_by = changed_by
        UNION SELECT segment_id FROM flags.segment_versions WHERE approved_by = changed_by
        """,
    ),
)
