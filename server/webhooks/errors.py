"""Why webhooks refuses."""

from server.frame.errors import Code, Refusal


class SignatureInvalid(Exception):
    """The request was not signed as its source signs, or not now.

    It bears nothing of the request, and nothing says which part was wrong.
    """


class EndpointNotFound(Refusal):
    """No endpoint has the id {endpoint_id}."""

    code = Code.NOT_FOUND
    reason = "ENDPOINT_NOT_FOUND"


class TooManyEndpoints(Refusal):
    """There are {limit} endpoints, which is as many as there may be: delete one first."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_ENDPOINTS"


class EventTypeUnknown(Refusal):
    """There is no event type {event_type}: ListEventTypes names those there are."""

    code = Code.INVALID_ARGUMENT
    reason = "EVENT_TYPE_UNKNOWN"


class UrlForbidden(Refusal):
    """Nothing may be sent to this URL."""

    code = Code.INVALID_ARGUMENT
    reason = "URL_FORBIDDEN"


class DeliveryNotFound(Refusal):
    """No delivery has the id {delivery_id}."""

    code = Code.NOT_FOUND
    reason = "DELIVERY_NOT_FOUND"


class EndpointDisabled(Refusal):
    """The endpoint {endpoint_id} is disabled: enable it first."""

    code = Code.FAILED_PRECONDITION
    reason = "ENDPOINT_DISABLED"
