"""Files and their uploads, contents that are kept once with what scanners said of them, and what owners store."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

TIME = sa.DateTime(timezone=True)
OUTCOME = "outcome IN ('clean', 'infected', 'unscannable')"


def upgrade() -> None:
    op.execute("CREATE SCHEMA files")
    _contents()
    _files()
    _uploads()
    _verdicts()
    _bookkeeping()


def downgrade() -> None:
    op.execute("DROP SCHEMA files CASCADE")


def _contents() -> None:
    op.create_table(
        "contents",
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reference_count", sa.Integer, nullable=False),
        sa.Column("scan_time", TIME),
        sa.Column("outcome", sa.Text),
        sa.Column("scanner", sa.Text, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("verdict_time", TIME),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_contents"),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="ck_contents_sha256"),
        sa.CheckConstraint(
            "state IN ('stored', 'scanning', 'clean', 'infected', 'unscannable')", name="ck_contents_state"
        ),
        sa.CheckConstraint(OUTCOME, name="ck_contents_outcome"),
        sa.CheckConstraint(
            "(outcome IS NULL) = (verdict_time IS NULL) AND (state IN ('stored', 'scanning') OR state = outcome)",
            name="ck_contents_verdict",
        ),
        sa.CheckConstraint("state NOT IN ('stored', 'scanning') OR scan_time IS NOT NULL", name="ck_contents_waiting"),
        sa.CheckConstraint("reference_count > 0 AND size_bytes >= 0", name="ck_contents_counts"),
        schema="files",
    )
    _index("uq_contents_key", "contents", "key", unique=True)
    _index("ix_contents_to_scan", "contents", "scan_time", where="scan_time IS NOT NULL")


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("declared_type", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("legal_hold", sa.Boolean, nullable=False),
        sa.Column("expire_time", TIME),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(["sha256"], ["files.contents.sha256"], name="fk_files_sha256"),
        sa.CheckConstraint(
            "state IN ('uploading', 'stored', 'scanning', 'clean', 'infected', 'unscannable')", name="ck_files_state"
        ),
        sa.CheckConstraint("(state = 'uploading') = (sha256 IS NULL)", name="ck_files_uploaded"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 255 AND size_bytes >= 0", name="ck_files_sizes"),
        schema="files",
    )
    _index("ix_files_by_time", "files", "create_time", "id")
    _index("ix_files_by_owner", "files", "owner_id", "create_time", "id")
    _index("ix_files_by_state", "files", "state", "create_time", "id")
    _index("ix_files_by_content", "files", "sha256", "id", where="sha256 IS NOT NULL")
    _index("ix_files_expiring", "files", "expire_time", where="expire_time IS NOT NULL AND NOT legal_hold")


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("file_id", sa.Uuid, nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("piece_count", sa.Integer, nullable=False),
        sa.Column("expire_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("file_id", name="pk_uploads"),
        sa.ForeignKeyConstraint(["file_id"], ["files.files.id"], name="fk_uploads_file_id"),
        sa.CheckConstraint("received_bytes >= 0 AND piece_count >= 0", name="ck_uploads_counts"),
        schema="files",
    )
    _index("ix_uploads_expiring", "uploads", "expire_time")
    op.create_table(
        "pieces",
        sa.Column("file_id", sa.Uuid, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("file_id", "offset", name="pk_pieces"),
        sa.ForeignKeyConstraint(["file_id"], ["files.uploads.file_id"], name="fk_pieces_file_id"),
        sa.CheckConstraint('size_bytes > 0 AND "offset" >= 0', name="ck_pieces_sizes"),
        sa.CheckConstraint("crc32c BETWEEN 0 AND 4294967295", name="ck_pieces_crc32c"),
        schema="files",
    )
    _index("uq_pieces_key", "pieces", "key", unique=True)


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("scanner", sa.Text, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sa.CheckConstraint(OUTCOME, name="ck_verdicts_outcome"),
        schema="files",
    )
    _index("ix_verdicts_by_content", "verdicts", "sha256", "create_time", "id")


def _bookkeeping() -> None:
    op.create_table(
        "usages",
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("file_count", sa.BigInteger, nullable=False),
        sa.Column("used_bytes", sa.BigInteger, nullable=False),
        sa.Column("quota_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", name="pk_usages"),
        sa.CheckConstraint("file_count >= 0 AND used_bytes >= 0 AND quota_bytes >= 0", name="ck_usages_counts"),
        schema="files",
    )
    op.create_table(
        "deletions",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("due_time", TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_deletions"),
        schema="files",
    )
    _index("ix_deletions_due", "deletions", "due_time")


def _index(name: str, table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), unique=unique, postgresql_where=condition, schema="files")
