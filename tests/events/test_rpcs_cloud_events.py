"""Events in CloudEvents' own format over gRPC."""

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.cloudevents.v1 import cloudevents_pb2 as ce
from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from storage.database import Database
from tests.events.sending import sending, stored
from tests.fixtures.servers import refusal

INGEST = "/backroom.events.v1.EventService/IngestCloudEvents"


def sent(id: str, **changes: Any) -> ce.CloudEvent:  # noqa: A002 - CloudEvents calls it so
    own = {"id": id, "source": "/shop", "spec_version": "1.0", "type": "order.paid", "text_data": '{"total": 1.50}'}
    return ce.CloudEvent(**{**own, **changes})


def outcomes(response: pb.IngestCloudEventsResponse) -> list[str]:
    return [events_pb2.Outcome.Name(each.outcome).removeprefix("OUTCOME_") for each in response.verdicts]


async def test_a_batch_in_cloudevents_own_format_is_a_request(database: Database) -> None:
    """Whoever has its bytes sends them as they are; each event has its verdict, and none stops the others."""
    late = sent("2")
    late.attributes["time"].ce_timestamp.CopyFrom(Timestamp(seconds=-(10**10)))
    wrong = sent("3")
    wrong.attributes["time"].ce_timestamp.CopyFrom(Timestamp(seconds=10**15))
    batch = ce.CloudEventBatch(events=[sent("1"), late, wrong, sent(""), sent("1"), sent("4", spec_version="")])
    async with sending(database) as (server, _):
        service = await server.sign_in("service")
        call = server.channel.unary_unary(
            INGEST,
            request_serializer=ce.CloudEventBatch.SerializeToString,
            response_deserializer=pb.IngestCloudEventsResponse.FromString,
        )
        answer = await call(batch, metadata=(("authorization", f"Bearer {service.token}"),), timeout=30)
        assert outcomes(answer) == ["STORED", "REFUSED", "REFUSED", "REFUSED", "DUPLICATE", "REFUSED"]
        assert [each.message.partition(":")[0] for each in answer.verdicts] == [
            "",
            "time",
            "'time'",
            "id",
            "",
            "specversion",
        ]
        found = await stored(await server.sign_in("admin"))
    assert {each.id: json.loads(each.data) for each in found.values()} == {"1": {"total": 1.5}}
    assert found["1"].data == '{"total": 1.50}'


async def test_the_same_event_is_one_in_both_formats(database: Database) -> None:
    """Ours and CloudEvents'."""
    ours = events_pb2.Event(id="1", source="/shop", type="order.paid", data='{"total": 1.50}', subject="anna")
    theirs = sent("1")
    theirs.attributes["subject"].ce_string = "anna"
    async with sending(database) as (server, _):
        service = await server.sign_in("service")
        await service.events.IngestEvents(pb.IngestEventsRequest(events=[ours]))
        answer = await service.events.IngestCloudEvents(pb.IngestCloudEventsRequest(events=[theirs]))
        assert outcomes(answer) == ["DUPLICATE"]


@pytest.mark.parametrize("count", [0, 5_001])
async def test_a_batch_of_none_or_too_many_is_refused_whole(count: int, database: Database) -> None:
    """By the field."""
    async with sending(database) as (server, _):
        service = await server.sign_in("service")
        request = pb.IngestCloudEventsRequest(events=[ce.CloudEvent()] * count)
        found = await refusal(service.events.IngestCloudEvents(request))
        assert (found.reason, set(found.fields)) == ("FIELD_INVALID", {"events"})
