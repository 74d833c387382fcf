"""Those that are compared, ready to be called: a server's process, a shop on it, and its books' check at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from bench.peers.serving import Served, usual
from bench.peers.usual.issuing import TokenIssuer
from bench.peers.usual.load import UsualShop
from bench.rounds import Side, window
from bench.setting import Backroom, Bench
from load.loops import Call
from load.sample import Sample
from load.shop import Shop

CALLERS = 64
CONNECTIONS = 4
"""Of Backroom's callers together, and of the floor's: gRPC carries many calls on one."""
_STOCK = 10_000_000
"""Pieces of each product: more than a bench sells."""


@dataclass(frozen=True, slots=True)
class Ours:
    server: Backroom
    shop: Shop


@dataclass(frozen=True, slots=True)
class Usual:
    server: Served
    shop: UsualShop


@asynccontextmanager
async def our_shop(bench: Bench, name: str, *, products: int) -> AsyncIterator[Ours]:
    """On a server and a database of its own; what was sold is checked at the end of the block."""
    async with bench.backroom(bench.database(name)) as server:
        shop = await Shop.open(server.address, server.api_key, products=products, stock=_STOCK, connections=CONNECTIONS)
        yield Ours(server, shop)
        await shop.check()
        await shop.close()


@asynccontextmanager
async def usual_shop(
    bench: Bench, name: str, storage: Literal["orm", "core"], *, products: int
) -> AsyncIterator[Usual]:
    """The same of the usual stack."""
    url, issuer = bench.empty_database(f"{name}_{storage}"), TokenIssuer()
    with usual(url, storage, issuer.public_key) as server:
        shop = await UsualShop.open(server.address, url, issuer, products=products, pieces=_STOCK, callers=CALLERS)
        yield Usual(server, shop)
        await shop.check()
        await shop.close()


def calling(bench: Bench, name: str, call: Call, pid: int, *, callers: int = CALLERS) -> Side[Sample]:
    """A side that is called by so many callers in a closed loop."""
    return Side(name, lambda: window(bench, call, callers, pid))
