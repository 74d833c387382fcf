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


class MeterNotFound(Refusal):
    """There is no meter {name}."""

    code = Code.NOT_FOUND


class MeterExists(Refusal):
    """There is a meter {name} already."""

    code = Code.ALREADY_EXISTS


class TooManyMeters(Refusal):
    """There are as many meters as there may be, {limit}: delete one first."""

    code = Code.RESOURCE_EXHAUSTED


class QueryTooLarge(Refusal):
    """The answer takes too long to count: ask for a shorter period, or make a meter, which keeps it ready."""

    code = Code.RESOURCE_EXHAUSTED
