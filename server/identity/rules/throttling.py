from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.frame.addresses import caller_network, caller_networks
from storage.identity.records import Attempts

FORGOTTEN_AFTER = timedelta(hours=1)
"""What nobody tried for so long was never tried."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts are free; each one more waits for longer than the one before."""

    free: int
    first_wait: float
    """In seconds: after the last free attempt, and doubled with each one more."""
    longest_wait: float
    """In seconds."""

    def wait_after(self, count: int) -> timedelta:
        """How long to wait after so many attempts."""
        if count < self.free:
            return timedelta()
        doublings = min(count - self.free, 30)
        return timedelta(seconds=min(self.first_wait * 2**doublings, self.longest_wait))


@dataclass(frozen=True, slots=True)
class Counter:
    """What attempts are counted by, and the limit of that; the name is kept as a keyed hash alone."""

    name: str
    limit: Limit
    shared: bool = False
    """Whether it counts what is tried at any account: one success tells nothing of the other attempts."""


_ACCOUNT = Limit(5, 1, 300)
_PAIR = Limit(5, 1, 900)
_SOURCE = Limit(20, 1, 900)
_ASKING = Limit(10, 60, 900)
_MAILS = Limit(3, 1200, 3600)


def signing_in(email: str, address: str) -> Sequence[Counter]:
    """By what an attempt to sign in counts that shows no device of the account's owner.

    By the account, by where it comes from, and by both together: whoever tries one account from one place soon waits
    for longer than the account does, and leaves the owner room in between. Nothing of it hangs on whether there is
    such an account, or where its owner was.
    """
    return (
        Counter(f"sign-in/account/{email}", _ACCOUNT),
        Counter(f"sign-in/account-and-source/{caller_network(address)}/{email}", _PAIR),
        *_by_source("sign-in/source", _SOURCE, address),
    )


def signing_in_with(device: UUID) -> Sequence[Counter]:
    """By what an attempt counts that shows a device of the owner's, or a session: no stranger's failures touch it."""
    return (Counter(f"sign-in/device/{device}", _ACCOUNT),)


def exchanging(address: str) -> Counter:
    """By what keys count that are refused, so that few of very many are recorded."""
    *_, widest = _by_source("exchange", _SOURCE, address)
    return widest


def registering(address: str) -> Sequence[Counter]:
    return _by_source("register", _ASKING, address)


def asking_for_mail(address: str) -> Sequence[Counter]:
    """By what it counts to ask for a mail, whatever for and to whom."""
    return _by_source("ask-for-mail", _ASKING, address)


def mailing(email: str, kind: str) -> Counter:
    """By what a mail counts that is sent to an address."""
    return Counter(f"mail/{kind}/{email}", _MAILS)


def _by_source(name: str, limit: Limit, address: str) -> Sequence[Counter]:
    """By an address, or by the networks of an IPv6 one, of which the wider have more free."""
    return [
        Counter(f"{name}/{source.name}", replace(limit, free=int(limit.free * source.times)), shared=True)
        for source in caller_networks(address)
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an attempt may be made."""

    wait: timedelta
    """For how long not; zero where it may be made now."""
    counted: Sequence[Attempts]
    """What is counted from then on; nothing where it has to wait."""


def verdict(known: Mapping[bytes, Attempts], limits: Mapping[bytes, Limit], now: datetime) -> Verdict:
    """Decides about an attempt that counts under all of these keys: it may be made where none of them has to wait."""
    current = {key: _current(known.get(key), key, now) for key in limits}
    waits = {key: limits[key].wait_after(each.count) for key, each in current.items()}
    # An attempt that is free waits for nothing, though another server's clock has counted one at a later time.
    wait = max((current[key].last_time + each - now for key, each in waits.items() if each), default=timedelta())
    if wait > timedelta():
        return Verdict(wait, ())
    counted = [replace(each, count=each.count + 1, last_time=max(each.last_time, now)) for each in current.values()]
    return Verdict(timedelta(), counted)


def decremented(counted: Attempts) -> Attempts:
    """As if one attempt less had been made."""
    return replace(counted, count=max(counted.count - 1, 0))


def _current(counted: Attempts | None, key: bytes, now: datetime) -> Attempts:
    if counted is None or now - counted.last_time >= FORGOTTEN_AFTER:
        return Attempts(key, 0, now)
    return counted
