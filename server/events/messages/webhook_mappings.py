from datetime import UTC, datetime

from backroom.events.v1 import webhook_mappings_pb2 as pb2
from server.frame.editing import etag_of
from server.frame.wire import timestamp
from storage.events.records import WebhookMapping

_UNSET = datetime.min.replace(tzinfo=UTC)


def mapping_of(sent: pb2.WebhookMapping) -> WebhookMapping:
    """As it is to be set; its version and times are the use case's."""
    source = sent.source or f"/webhooks/{sent.webhook_source}"
    templates = (sent.type, sent.subject, sent.time, sent.id, sent.data)
    return WebhookMapping(sent.webhook_source, source, *templates, 0, _UNSET, _UNSET)


def webhook_mapping(mapping: WebhookMapping) -> pb2.WebhookMapping:
    return pb2.WebhookMapping(
        webhook_source=mapping.webhook_source,
        source=mapping.source,
        type=mapping.type,
        subject=mapping.subject,
        time=mapping.time,
        id=mapping.id,
        data=mapping.data,
        etag=etag_of(mapping),
        create_time=timestamp(mapping.create_time),
        update_time=timestamp(mapping.update_time),
    )
