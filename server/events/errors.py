"""Why events refuses a call; why it refuses one event of a batch is in `storage.events.records`."""

from server.frame.errors import Code, Refusal


class EventTypeNotFound(Refusal):
    """No event type of this name is declared."""

    code = Code.NOT_FOUND


class EventTypeExists(Refusal):
    """An event type of this name is declared already."""

    code = Code.ALREADY_EXISTS


class SchemaInvalid(Refusal):
    """The schema cannot be used: {problem}."""

    code = Code.INVALID_ARGUMENT


class TooManyEventTypes(Refusal):
    """There are as many event types as there may be, {limit}: delete one first."""

    code = Code.RESOURCE_EXHAUSTED
