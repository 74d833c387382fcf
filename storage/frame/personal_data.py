"""What the frame has of a person: kept answers, the log of events, and the audit record, which is kept."""

from storage.frame.tables import audit_entries, events, request_ids
from storage.personal_data import JsonText, OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="audit_entry",
            table=audit_entries,
            owned=lambda person: audit_entries.c.caller_id == person.id,
            exported=("create_time", "action", "resource", "address", "call_id", "result"),
        ),
        # An answer repeats what was answered, which an export shows by itself.
        OwnedRows(
            kind="kept_answer",
            table=request_ids,
            owned=lambda person: request_ids.c.caller_id == person.id,
            deleted=True,
        ),
    ),
    copies=(JsonText(request_ids.c.answer), JsonText(events.c.data)),
)
