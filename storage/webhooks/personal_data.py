"""What webhooks has of a person: copies of events, on their way to endpoints; an endpoint is the business's own."""

from storage.personal_data import JsonText, OwnedRows, PersonalDataRules
from storage.webhooks.tables import deliveries, endpoints

PERSONAL_DATA = PersonalDataRules(
    rows=(
        # Its URL may hold a secret of its receiver's.
        OwnedRows(
            kind="created_endpoint",
            table=endpoints,
            owned=lambda person: endpoints.c.created_by == person.id,
            exported=("id", "description", "create_time"),
        ),
    ),
    copies=(JsonText(deliveries.c.body),),
)
