"""What files has of a person: the files that it owns, which go or are handed over.

What they contain is not in an export: each is downloaded by itself. What scanners found belongs to the content, and
names nobody.
"""

from storage.files.tables import files, usages
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="file",
            table=files,
            owned=lambda person: files.c.owner_id == person.id,
            exported=(
                "id",
                "name",
                "size_bytes",
                "declared_type",
                "sha256",
                "state",
                "legal_hold",
                "expire_time",
                "create_time",
            ),
        ),
        OwnedRows(
            kind="quota",
            table=usages,
            owned=lambda person: usages.c.owner_id == person.id,
            exported=("file_count", "used_bytes", "quota_bytes"),
            erased={"quota_bytes": None},
        ),
    ),
    owners=(JsonOwner("owner_id", frozenset({"name", "declared_type", "sha256"})),),
)
