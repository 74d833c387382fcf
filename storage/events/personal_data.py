"""What events has of a person: the events of which the account is the subject, stored or refused.

The rules say what goes; `server.events.service.persons` does it, since a partitioned table has no key to go by.
"""

from storage.events.tables import events, refused_events
from storage.personal_data import OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="event",
            table=events,
            owned=lambda person: events.c.subject == person.text,
            exported=("id", "source", "type", "time", "data", "attributes", "receive_time"),
            deleted=True,
        ),
        OwnedRows(
            kind="refused_event",
            table=refused_events,
            owned=lambda person: refused_events.c.subject == person.text,
            exported=("id", "event", "reason", "message", "create_time"),
            deleted=True,
        ),
    ),
)
