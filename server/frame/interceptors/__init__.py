"""The interceptors around every call, from the outside in; `chain` is the order, with the reason beside each.

A test checks the order.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import protovalidate
import structlog
from prometheus_client import CollectorRegistry

from server.frame.addresses import Network
from server.frame.contract import AccessRule
from server.frame.interceptors.access import Access, Authenticator
from server.frame.interceptors.base import Chain, Interceptor
from server.frame.interceptors.body import Body
from server.frame.interceptors.deadline import Deadline
from server.frame.interceptors.fair_share import FairShare
from server.frame.interceptors.forwarded import Forwarded
from server.frame.interceptors.in_flight import InFlight
from server.frame.interceptors.metadata_limit import MetadataLimit
from server.frame.interceptors.metrics import Metrics
from server.frame.interceptors.rate_limit import Rate, RateLimit
from server.frame.interceptors.recording import Recording
from server.frame.interceptors.refusals import Refusals
from server.frame.interceptors.request_log import RequestLog
from server.frame.interceptors.shedding import ConcurrencyLimits, Shedding
from server.frame.interceptors.validation import Validation
from server.frame.timeouts import Timeouts

__all__ = ["Authenticator", "CallLimits", "ConcurrencyLimits", "InFlight", "Rate", "chain"]

MAX_CALL_SECONDS = 30.0
"""In seconds."""
MAX_BODY_SECONDS = 10.0
"""In seconds: how long a call's one message may take to arrive."""
MAX_SILENCE_SECONDS = 300.0
"""In seconds: how long a stream that the caller writes may go without a message; proxies often wait as long."""


@dataclass(frozen=True)
class CallLimits:
    """How much is taken: of all callers together, and of each."""

    at_once: ConcurrencyLimits = field(default_factory=ConcurrencyLimits)
    rate: Rate | None = None
    """Of each caller; None means as much as it wants."""
    rate_exempts_staff: bool = False
    """Whether staff and services, who may more than any customer, call as often as they want."""


def chain(
    rules: Mapping[str, AccessRule],
    largest_bodies: Mapping[str, int],
    authenticator: Authenticator,
    in_flight: InFlight,
    registry: CollectorRegistry,
    logger: structlog.typing.FilteringBoundLogger,
    limits: CallLimits,
    validator: protovalidate.Validator,
    trusted_proxies: Sequence[Network] = (),
    customers: Collection[str] = (),
) -> Chain:
    """`customers` are the permissions of any customer: who has others is staff, or a service."""
    exempt = frozenset(customers) if limits.rate_exempts_staff else None
    timeouts = Timeouts()
    order: Sequence[Interceptor] = (
        in_flight,  # outermost: a call has ended when all interceptors inside have
        # before all that goes by where a call comes from
        *([Forwarded(trusted_proxies)] if trusted_proxies else []),
        # around all the rest, refusals too: whatever becomes of a call, there is one line of it, with the whole time
        # and the code that the caller is answered
        Recording(RequestLog(logger), Metrics(registry, rules)),
        Refusals(),  # around all that decides: no error gets past it
        MetadataLimit(),  # before anything is done that goes by the metadata, of which too much was not kept
        Shedding(limits.at_once, registry),  # inside of the refusals, which carry its own; before any work is done
        Deadline(MAX_CALL_SECONDS, timeouts),  # around all that may wait, the token's check included
        Access(rules, authenticator),  # on the metadata alone, before the body is read
        FairShare(limits.at_once, customers),  # inside of access, which says whose share it is; before a body is read
        # so is this; a stream takes a token for each of its messages too
        *([RateLimit(limits.rate, registry, exempt=exempt)] if limits.rate else []),
        Body(MAX_BODY_SECONDS, MAX_SILENCE_SECONDS, timeouts),  # inside of all that refuses without it
        # innermost: only who may call learns what is wrong with a body
        Validation(validator, largest_bodies),
    )
    return Chain(order)
