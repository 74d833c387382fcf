"""What endpoints are sent of bookings."""

from datetime import datetime

from standardwebhooks.webhooks import Webhook

from backroom.bookings.v1 import booking_service_pb2 as pb
from server.bookings.rules.events import EVENT_TYPES
from server.webhooks.rules.signing import shown
from tests.bookings.calling import ahead, booked, made
from tests.fixtures.servers import Api, Running
from tests.webhooks.outgoing import SECRET, outbox_on, subscriber


async def test_each_event_of_a_booking_is_sent_once_and_signed(server: Running, service: Api) -> None:
    """To an endpoint that subscribes to it, as the booking was then; a repeated request sends nothing more."""
    room = await made(service)
    async with outbox_on(server.database) as outbox, subscriber() as shop:
        outbox.types = EVENT_TYPES
        await outbox.relayed()
        endpoint = await outbox.endpoint(shop.url, "booking.made", "booking.canceled")
        booking = await booked(service, room, at=ahead(), title="Checkup", lease_seconds=600)
        await service.bookings.Confirm(pb.ConfirmRequest(booking_id=booking.booking_id))
        cancel = pb.CancelRequest(request_id="0190b1c4-7a3e-7c8e-9f00-000000000001", booking_id=booking.booking_id)
        for _ in range(2):
            await service.bookings.Cancel(cancel)
        await outbox.relayed()
        await outbox.relayed()
        for delivery in await outbox.sent(endpoint):
            await outbox.attempt(delivery)
    told = [Webhook(shown(SECRET)).verify(heard.body, dict(heard.headers)) for heard in shop.heard]
    assert [(each["type"], each["data"]["state"]) for each in told] == [
        ("booking.made", "pending"),
        ("booking.canceled", "canceled"),
    ]
    for each in told:
        assert each["data"]["booking_id"] == booking.booking_id
        assert each["data"]["resource_ids"] == [room]
        assert datetime.fromisoformat(each["data"]["start_time"]) == ahead()
        assert "Checkup" not in str(each)
