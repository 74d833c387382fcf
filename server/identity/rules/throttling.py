from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from server.frame.addresses import source_of
from storage.identity.records import Attempts

FORGOTTEN_AFTER = timedelta(hours=1)
"""What nobody tried for so long was never tried."""
KNOWN_FOR = timedelta(days=90)
"""For how long an address that an account was used from counts as its owner's."""


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


def signing_in(email: str, address: str, known: Collection[str]) -> Sequence[Counter]:
    """By what an attempt to sign in counts.

    From where the owner has been before, the account has a counter of its own, which no stranger's failures touch.
    From elsewhere it counts by the account, by where it comes from, and by both together: whoever tries one account
    from one place soon waits for longer than the account does, and leaves the owner room in between.
    """
    source = source_of(address)
    pair = f"sign-in/account-and-source/{source}/{email}"
    if source in {source_of(each) for each in known}:
        return (Counter(pair, _ACCOUNT),)
    return (
        Counter(f"sign-in/account/{email}", _ACCOUNT),
        Counter(pair, _PAIR),
        Counter(f"sign-in/source/{source}", _SOURCE, shared=True),
    )


def registering(address: str) -> Counter:
    return Counter(f"register/{source_of(address)}", _ASKING)


def asking_for_mail(address: str) -> Counter:
    """By what it counts to ask for a mail, whatever for and to whom."""
    return Counter(f"ask-for-mail/{source_of(address)}", _ASKING)


def mailing(email: str, kind: str) -> Counter:
    """By what a mail counts that is sent to an address."""
    return Counter(f"mail/{kind}/{email}", _MAILS)


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


def taken_off(counted: Attempts) -> Attempts:
    """As if one attempt less had been made."""
    return replace(counted, count=max(counted.count - 1, 0))


def _current(counted: Attempts | None, key: bytes, now: datetime) -> Attempts:
    if counted is None or now - counted.last_time >= FORGOTTEN_AFTER:
        return Attempts(key, 0, now)
    return counted
