"""Where a call comes from that a proxy passes on."""

from collections.abc import Sequence
from typing import Any

from server.frame.addresses import Address, Network, address_in
from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method

_HEADER = "x-forwarded-for"
MAX_HOPS = 32


class Forwarded:
    """Believes trusted proxies, and nobody else, where their calls come from."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        async def coming_from(request: Any, call: Call) -> Any:
            call.address = real_address(call.address, _hops(call), self._trusted)
            return await proceed(request, call)

        return coming_from


def real_address(peer: str, hops: Sequence[str], trusted: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy's.

    `hops` are the addresses in x-forwarded-for: each proxy adds, on the right, the address that it was called from. So
    they are believed from the right on, for as long as a trusted proxy has added them. What is no address ends it: then
    the nearest proxy counts as the caller.
    """
    nearest = _read(peer)
    if nearest is None:
        return peer
    for hop in reversed(hops):
        if not any(nearest in network for network in trusted):
            break
        further = _read(hop)
        if further is None:
            break
        nearest = further
    return str(nearest)


def _hops(call: Call) -> Sequence[str]:
    return [hop.strip() for value in call.sent(_HEADER) for hop in value.split(",")][-MAX_HOPS:]


def _read(text: str) -> Address | None:
    """An address, which may have a port behind it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return address_in(text.partition("%")[0])
