"""Why webhooks refuses."""

from server.frame.errors import Code, Refusal


class SignatureInvalid(Exception):
    """The request was not signed as its source signs, or not now.

    It bears nothing of the request, and nothing says which part was wrong.
    """


class EndpointNotFound(Refusal):
    """No endpoint has this id."""

    code = Code.NOT_FOUND
    reason = "ENDPOINT_NOT_FOUND"


class TooManyEndpoints(Refusal):
    """There are as many endpoints as there may be."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_ENDPOINTS"


class EventTypeUnknown(Refusal):
    """There is no such event type: ListEventTypes names those there are."""

    code = Code.INVALID_ARGUMENT
    reason = "EVENT_TYPE_UNKNOWN"


class UrlForbidden(Refusal):
    """Nothing may be sent to this URL."""

    code = Code.INVALID_ARGUMENT
    reason = "URL_FORBIDDEN"


class DeliveryNotFound(Refusal):
    """No delivery has this id."""

    code = Code.NOT_FOUND
    reason = "DELIVERY_NOT_FOUND"


class EndpointDisabled(Refusal):
    """The endpoint is disabled: enable it first."""

    code = Code.FAILED_PRECONDITION
    reason = "ENDPOINT_DISABLED"
