"""No caller takes so much of the server that the others are refused for it."""

from collections.abc import Collection, Sequence
from typing import Any

from server.frame.addresses import CallerNetwork, caller_networks
from server.frame.call import Call
from server.frame.caller import Caller
from server.frame.errors import Overloaded, TooManyConcurrentCalls
from server.frame.interceptors.base import Behavior, Method
from server.frame.interceptors.shedding import KINDS, ConcurrencyLimits, KeyedLimit, NetworkLimit, kind_of

_RESERVE = 5
"""The fifth part of what is taken is kept for staff and services."""


class FairShare:
    """Inside of access, which says who calls: counts each account's calls, and each network's, by their kind.

    Who may do more than any customer is staff, or a service that calls for many, and is bounded by the whole alone.
    Callers without a token, of a network that a method is open to, may be services: each network of theirs is bounded
    by half of what all others have.
    All others together leave those a reserve, and half of what is left to callers from other networks: of IPv6, from
    outside of the widest that one caller may have.
    """

    def __init__(self, most: ConcurrencyLimits, customers: Collection[str]) -> None:
        """`customers` are the permissions of any customer."""
        self._customers = frozenset(customers)
        self._kinds = {kind: _Kind(most.of(kind), most.per_caller) for kind in KINDS}

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.quiet:
            return proceed
        kind = self._kinds[kind_of(method)]

        async def shared(request: Any, call: Call) -> Any:
            if call.caller.signed_in and not call.caller.permissions <= self._customers:
                return await proceed(request, call)
            sources = caller_networks(call.address)
            kind.enter(call.caller, sources)
            try:
                return await proceed(request, call)
            finally:
                kind.leave(call.caller, sources)

        return shared


class _Kind:
    """The calls of one kind of all but staff and services."""

    def __init__(self, most: int, per_caller: int) -> None:
        self._most = most - most // _RESERVE
        self._count = 0
        self._per_caller = KeyedLimit(per_caller)
        self._of_stranger = NetworkLimit(per_caller)
        self._of_source = KeyedLimit(max(per_caller, self._most // 2))

    def enter(self, caller: Caller, sources: Sequence[CallerNetwork]) -> None:
        """Raises Overloaded, or TooManyConcurrentCalls."""
        if self._count >= self._most:
            raise Overloaded
        if caller.signed_in:
            self._of_source.enter(sources[-1].name)
            try:
                self._per_caller.enter(caller.account_id)
            except TooManyConcurrentCalls:
                self._of_source.leave(sources[-1].name)
                raise
        elif caller.permissions:
            self._of_source.enter(sources[-1].name)
        else:
            self._of_stranger.enter(sources)
        self._count += 1

    def leave(self, caller: Caller, sources: Sequence[CallerNetwork]) -> None:
        self._count -= 1
        if caller.signed_in:
            self._of_source.leave(sources[-1].name)
            self._per_caller.leave(caller.account_id)
        elif caller.permissions:
            self._of_source.leave(sources[-1].name)
        else:
            self._of_stranger.leave(sources)
