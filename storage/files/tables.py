from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from storage.base import METADATA

_TIME = DateTime(timezone=True)

# What was uploaded, each once, however many files have it. The bytes are in the storage, by a key that is never used
# again: what deletes a content can never hit another one that was uploaded meanwhile.
contents = Table(
    "contents",
    METADATA,
    # In 64 lower-case hexadecimal digits.
    Column("sha256", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # Told from the content; empty until it was looked at.
    Column("content_type", Text, nullable=False),
    Column("state", Text, nullable=False),
    # How many files have it.
    Column("reference_count", Integer, nullable=False),
    # When to scan it; while it is scanned, when whoever scans it is taken for dead; NULL where there is nothing to do.
    Column("scan_time", _TIME),
    # The latest verdict.
    Column("outcome", Text),
    Column("scanner", Text, nullable=False),
    Column("signatures", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("verdict_time", _TIME),
    Column("create_time", _TIME, nullable=False),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    CheckConstraint("state IN ('stored', 'scanning', 'clean', 'infected', 'unscannable')", name="state"),
    CheckConstraint("outcome IN ('clean', 'infected', 'unscannable')", name="outcome"),
    CheckConstraint(
        "(outcome IS NULL) = (verdict_time IS NULL) AND (state IN ('stored', 'scanning') OR state = outcome)",
        name="verdict",
    ),
    CheckConstraint("state NOT IN ('stored', 'scanning') OR scan_time IS NOT NULL", name="waiting"),
    CheckConstraint("reference_count > 0 AND size_bytes >= 0", name="counts"),
    Index("uq_contents_key", "key", unique=True),
    Index("ix_contents_to_scan", "scan_time", postgresql_where=text("scan_time IS NOT NULL")),
    schema="files",
)

files = Table(
    "files",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("declared_type", Text, nullable=False),
    # Its content; NULL while it is uploaded.
    Column("sha256", Text, ForeignKey("files.contents.sha256")),
    # As its owner was told; whether it is served is decided by the content's.
    Column("state", Text, nullable=False),
    Column("legal_hold", Boolean, nullable=False),
    Column("expire_time", _TIME),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("state IN ('uploading', 'stored', 'scanning', 'clean', 'infected', 'unscannable')", name="state"),
    CheckConstraint("(state = 'uploading') = (sha256 IS NULL)", name="uploaded"),
    CheckConstraint("char_length(name) BETWEEN 1 AND 255 AND size_bytes >= 0", name="sizes"),
    Index("ix_files_by_time", "create_time", "id"),
    Index("ix_files_by_owner", "owner_id", "create_time", "id"),
    Index("ix_files_by_state", "state", "create_time", "id"),
    Index("ix_files_by_content", "sha256", "id", postgresql_where=text("sha256 IS NOT NULL")),
    Index("ix_files_expiring", "expire_time", postgresql_where=text("expire_time IS NOT NULL AND NOT legal_hold")),
    schema="files",
)

uploads = Table(
    "uploads",
    METADATA,
    Column("file_id", Uuid, ForeignKey("files.files.id"), primary_key=True),
    # How many bytes are stored for good, in how many pieces.
    Column("received_bytes", BigInteger, nullable=False),
    Column("piece_count", Integer, nullable=False),
    # When it is given up.
    Column("expire_time", _TIME, nullable=False),
    CheckConstraint("received_bytes >= 0 AND piece_count >= 0", name="counts"),
    Index("ix_uploads_expiring", "expire_time"),
    schema="files",
)

pieces = Table(
    "pieces",
    METADATA,
    Column("file_id", Uuid, ForeignKey("files.uploads.file_id"), nullable=False),
    # Where it begins in the file.
    Column("offset", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("crc32c", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    PrimaryKeyConstraint("file_id", "offset"),
    CheckConstraint('size_bytes > 0 AND "offset" >= 0', name="sizes"),
    CheckConstraint("crc32c BETWEEN 0 AND 4294967295", name="crc32c"),
    Index("uq_pieces_key", "key", unique=True),
    schema="files",
)

# What scanners said of contents, also of those that are gone: by whom and when something was found must be told later.
verdicts = Table(
    "verdicts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("scanner", Text, nullable=False),
    Column("signatures", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    CheckConstraint("outcome IN ('clean', 'infected', 'unscannable')", name="outcome"),
    Index("ix_verdicts_by_content", "sha256", "create_time", "id"),
    schema="files",
)

usages = Table(
    "usages",
    METADATA,
    Column("owner_id", Uuid, primary_key=True),
    Column("file_count", BigInteger, nullable=False),
    Column("used_bytes", BigInteger, nullable=False),
    # Set for this owner alone; NULL where its roles decide.
    Column("quota_bytes", BigInteger),
    CheckConstraint("file_count >= 0 AND used_bytes >= 0 AND quota_bytes >= 0", name="counts"),
    schema="files",
)

# Objects in the storage that nothing refers to any more: written in the transaction that let go of them, and deleted
# once their objects are.
deletions = Table(
    "deletions",
    METADATA,
    Column("key", Text, primary_key=True),
    # When to delete it, or to try again.
    Column("due_time", _TIME, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Index("ix_deletions_due", "due_time"),
    schema="files",
)
