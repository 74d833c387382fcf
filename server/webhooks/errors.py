"""Why webhooks refuses."""

from server.frame.errors import Code, Refusal


class SignatureInvalid(Exception):
    """The request was not signed as its source signs, or not now.

    It bears nothing of the request, and nothing says which part was wrong.
    """


class EndpointNotFound(Refusal):
    """No endpoint has the id {endpoint_id}."""

    code = Code.NOT_FOUND


class TooManyEndpoints(Refusal):
    """There are already {limit} endpoints, the maximum: delete one first."""

    code = Code.FAILED_PRECONDITION


class EventTypeUnknown(Refusal):
    """There is no event type {event_type}: ListEventTypes lists them."""

    code = Code.INVALID_ARGUMENT


class UrlForbidden(Refusal):
    """This server does not send to this URL."""

    code = Code.INVALID_ARGUMENT


class DeliveryNotFound(Refusal):
    """No delivery has the id {delivery_id}."""

    code = Code.NOT_FOUND


class EndpointDisabled(Refusal):
    """The endpoint {endpoint_id} is disabled: enable it first."""

    code = Code.FAILED_PRECONDITION
