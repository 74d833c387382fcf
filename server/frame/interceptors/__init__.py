"""What stands around every call, from the outside in; `chain` is the order, with the reason beside each.

A test holds the order.
"""

from collections.abc import Mapping, Sequence

import grpc
import protovalidate
import structlog
from prometheus_client import CollectorRegistry

from server.frame.contract import AccessRule
from server.frame.interceptors.access import Access, Doorkeeper
from server.frame.interceptors.deadline import Deadline
from server.frame.interceptors.in_flight import InFlight
from server.frame.interceptors.metrics import Metrics
from server.frame.interceptors.refusals import Refusals
from server.frame.interceptors.request_log import RequestLog
from server.frame.interceptors.validation import Validation

__all__ = ["Doorkeeper", "InFlight", "chain"]

LONGEST_CALL = 30.0
"""In seconds."""


def chain(
    rules: Mapping[str, AccessRule],
    doorkeeper: Doorkeeper,
    in_flight: InFlight,
    registry: CollectorRegistry,
    logger: structlog.typing.FilteringBoundLogger,
) -> Sequence[grpc.aio.ServerInterceptor]:
    return (
        in_flight,  # outermost: a call is over when all that stands around it is
        RequestLog(
            logger
        ),  # around all the rest: whatever becomes of a call, there is one line of it, with the whole time
        Metrics(registry, rules),  # outside of the refusals: it counts the code that the caller is answered
        Refusals(),  # around all that decides: nothing rises past it
        Deadline(LONGEST_CALL),  # around all that may wait, the token's check included
        Access(rules, doorkeeper),  # on the metadata alone, before the body is parsed
        Validation(protovalidate.Validator()),  # innermost: only who may call learns what is wrong with a body
    )
