"""What callers may do now, whatever their tokens say: looked up once, and again when it changed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.frame.log import described
from server.frame.outages import UNANSWERED, Outage, explained
from server.identity.credentials.keys import KeyRing
from server.identity.credentials.tokens import AccessTokens, Verified
from server.identity.rules.roles import BuiltInRoles
from storage.errors import StoreError
from storage.frame.records import LogEnd, LogRange, News
from storage.identity.store import IdentityReading, IdentityStore
from storage.snapshots import Snapshot

POLL_SECONDS = 0.3
"""In seconds: how often each server polls whose access has changed."""
TRUST_SECONDS = 0.9
"""In seconds: for how long the cache is trusted after the last poll."""

_POLL_TIMEOUT_SECONDS = 3.0
"""In seconds: how long one look may take."""
_LOG_AFTER_SECONDS = 4.0
"""In seconds: longer than readiness takes to notice that the database does not respond."""
_MAX_SLEEP_SECONDS = 60.0
_CACHE_SIZE = 10_000
_MAX_CHANGES = 1000
"""Where a poll finds more, everyone is looked up again."""


@dataclass(frozen=True, slots=True)
class CachedAccess:
    """What was found behind a session or a key."""

    caller: Caller | None
    """None where it lets nobody in."""
    expire_time: datetime | None


class _Lookup:
    """One that is under way; `outdated` once what it may have read has changed."""

    __slots__ = ("account_id", "outdated")

    def __init__(self, account_id: UUID) -> None:
        self.account_id = account_id
        self.outdated = False


class AccessCache:
    """Knows which account an access token authenticates, and what it may do now; the authenticator of all calls.

    A token's signature is checked once, and the account behind its session or key is read in one statement; both are
    remembered, bounded. Whatever changes an account's access writes so into a log, in the same transaction; each server
    reads that log every POLL_SECONDS, and forgets. Where its last poll began more than TRUST_SECONDS ago, for whatever
    reason, nothing cached is trusted, and each call reads again: so no change takes longer than a second.
    """

    def __init__(
        self,
        store: IdentityStore,
        keys: KeyRing,
        tokens: AccessTokens,
        built_in: BuiltInRoles,
        now: Callable[[], datetime],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keys = keys
        self._tokens = tokens
        self._built_in = built_in
        self._now = now
        self._elapsed = elapsed
        self._verified: OrderedDict[str, Verified] = OrderedDict()
        self._cached: OrderedDict[UUID, dict[UUID, CachedAccess]] = OrderedDict()
        """By the account, and by the session or key."""
        self._count = 0
        self._lookups: set[_Lookup] = set()
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._end: LogEnd | None = None
        """Where the log ended at the last look."""
        self._polled_at = float("-inf")

    async def caller_of(self, token: str, *, while_away: bool = False) -> Caller:
        """The caller that the token authenticates, and what it may do now; raises TokenInvalid.

        With `while_away`, what is remembered is enough where the log was not read for longer than it is trusted.
        """
        if self._elapsed() - self._polled_at > TRUST_SECONDS:
            if while_away and (remembered := self._remembered(token)) is not None:
                return remembered
            # Nothing remembered is trusted, nor that the key which signed the token was not revoked since.
            await self._keys.fresh()
            self._verified.pop(token, None)
        verified = self._verified.get(token)
        if verified is None:
            verified = await self._tokens.verified(token)
            self._verified[token] = verified
            if len(self._verified) > _CACHE_SIZE:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        if self._now() >= verified.expire_time:
            self._verified.pop(token, None)
            raise TokenInvalid
        known = self._trusted(verified.account_id, verified.issued_for)
        return self._current_caller(known or await self._look_up(verified.account_id, verified.issued_for))

    async def caller_behind(self, account_id: UUID, issued_for: UUID, *, while_away: bool = False) -> Caller:
        """Who called by a session or a key, and what they may do now; raises TokenInvalid where that has ended.

        `while_away` is as in `caller_of`.
        """
        if while_away and self._elapsed() - self._polled_at > TRUST_SECONDS:
            remembered = self._remembered_caller(account_id, issued_for)
            if remembered is not None:
                return remembered
        return self._current_caller(await self._find(account_id, issued_for))

    def _remembered(self, token: str) -> Caller | None:
        """Whom a token stood for when that was last known; None where that is not known, or its time is over."""
        verified = self._verified.get(token)
        if verified is None or self._now() >= verified.expire_time:
            return None
        return self._remembered_caller(verified.account_id, verified.issued_for)

    def _remembered_caller(self, account_id: UUID, issued_for: UUID) -> Caller | None:
        known = self._cached.get(account_id, {}).get(issued_for)
        if known is None or (known.expire_time is not None and self._now() >= known.expire_time):
            return None
        return known.caller

    async def permissions_of(self, account_id: UUID) -> frozenset[str] | None:
        """What an account may do now, without a token; None where it is disabled, or there is none."""
        async with self._store.reading() as reading:
            found = await reading.effective_access.find_account(account_id)
        return None if found is None else self._built_in.permissions_of(found.roles, found.custom_permissions)

    async def changed(self, caller: Caller) -> Caller:
        """Waits until what the caller may do is no longer this, and returns what it is; raises TokenInvalid."""
        assert caller.issued_for is not None  # noqa: S101 - a token's caller
        while True:
            with self._notified(caller.account_id) as notified:
                # Behind the line above: a change that comes after this poll is notified.
                known = await self._find(caller.account_id, caller.issued_for)
                current = self._current_caller(known)
                if current != caller:
                    return current
                await asyncio.wait([notified], timeout=self._seconds_left(known))

    async def watch(
        self, logger: structlog.typing.FilteringBoundLogger, already_logged: Callable[[], bool] = lambda: False
    ) -> None:
        """Polls until cancelled; while that fails, nothing is trusted, and each call reads again.

        `notified` is whether another line of the log says already why the server is not ready.
        """
        events = ("access_changes_not_followed", "access_changes_followed")
        # Two, since a fault is none of the database's; where that is not migrated, one line says so already.
        outage, defect = (
            Outage(logger, *events, grace_seconds=_LOG_AFTER_SECONDS, already_logged=already_logged) for _ in range(2)
        )
        while True:
            try:
                async with asyncio.timeout(_POLL_TIMEOUT_SECONDS):
                    await self.poll()
                outage.record_recovery()
                defect.record_recovery()
            except TimeoutError:
                outage.record_failure(why=UNANSWERED)
            except StoreError as error:
                outage.record_failure(why=explained(error))
            except Exception as error:  # noqa: BLE001 - nothing is trusted until a look succeeds
                defect.record_failure(fault=described(error))
            await asyncio.sleep(POLL_SECONDS)

    async def poll(self) -> None:
        """Polls once whose access has changed, and drops it from the cache."""
        began = self._elapsed()
        async with self._store.dedicated_reading() as reading:
            end, changed = await self._changed_since(reading, self._end)
        if changed is None:
            # It may be anybody; also a signing key may have been revoked.
            await self._keys.load()
            self._verified.clear()
            self._forget_all()
        else:
            for account_id in changed:
                self._forget(account_id)
        self._end = end
        self._polled_at = began

    async def _changed_since(self, reading: IdentityReading, known: LogEnd | None) -> tuple[LogEnd, set[UUID] | None]:
        """Where the log ends by now, and whose access has changed; None where it may be anybody's.

        So it is where nobody knows what happened: a standby was promoted, or the database was restored from a backup.
        """
        news = await reading.access_changes.find_news(known.snapshot) if known is not None else None
        if known is None or news is None or not _follows(news, known):
            return await reading.access_changes.find_end(), None
        if news.first is None:
            return news, set()
        log_range = LogRange(news.timeline, known.snapshot, news.snapshot, news.first - 1)
        page = await reading.access_changes.list_changes(log_range, _MAX_CHANGES)
        changed = {change.account_id for change in page.changes}
        if page.last is not None or None in changed:
            return news, None
        return news, {account_id for account_id in changed if account_id is not None}

    def _current_caller(self, known: CachedAccess) -> Caller:
        if known.caller is None or (known.expire_time is not None and self._now() >= known.expire_time):
            raise TokenInvalid
        return known.caller

    async def _find(self, account_id: UUID, issued_for: UUID) -> CachedAccess:
        """What is remembered, where that can be trusted, or what is there now."""
        return self._trusted(account_id, issued_for) or await self._look_up(account_id, issued_for)

    def _trusted(self, account_id: UUID, issued_for: UUID) -> CachedAccess | None:
        """What is remembered, where that can be trusted."""
        if self._elapsed() - self._polled_at > TRUST_SECONDS:
            return None
        of_account = self._cached.get(account_id)
        return of_account.get(issued_for) if of_account is not None else None

    async def _look_up(self, account_id: UUID, issued_for: UUID) -> CachedAccess:
        lookup = _Lookup(account_id)
        self._lookups.add(lookup)
        try:
            async with self._store.reading() as reading:
                found = await reading.effective_access.find(account_id, issued_for)
        finally:
            self._lookups.discard(lookup)
        known = CachedAccess(None, None)
        if found is not None:
            permissions = self._built_in.permissions_of(found.roles, found.custom_permissions)
            known = CachedAccess(Caller(account_id, permissions, issued_for), found.expire_time)
        if not lookup.outdated:
            self._remember(account_id, issued_for, known)
        return known

    def _remember(self, account_id: UUID, issued_for: UUID, known: CachedAccess) -> None:
        of_account = self._cached.setdefault(account_id, {})
        self._cached.move_to_end(account_id)
        self._count += issued_for not in of_account
        of_account[issued_for] = known
        while self._count > _CACHE_SIZE:
            self._count -= len(self._cached.popitem(last=False)[1])

    def _forget(self, account_id: UUID) -> None:
        self._count -= len(self._cached.pop(account_id, ()))
        for lookup in self._lookups:
            lookup.outdated = lookup.outdated or lookup.account_id == account_id
        self._notify(account_id)

    def _forget_all(self) -> None:
        self._cached.clear()
        self._count = 0
        for lookup in self._lookups:
            lookup.outdated = True
        for account_id in list(self._waiting):
            self._notify(account_id)

    def _notify(self, account_id: UUID) -> None:
        for notified in self._waiting.get(account_id, ()):
            if not notified.done():
                notified.set_result(None)

    @contextmanager
    def _notified(self, account_id: UUID) -> Iterator["asyncio.Future[None]"]:
        """Done once the account's access was dropped from the cache."""
        notified: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(account_id, set())
        waiting.add(notified)
        try:
            yield notified
        finally:
            waiting.discard(notified)
            if not waiting and self._waiting.get(account_id) is waiting:
                del self._waiting[account_id]

    def _seconds_left(self, known: CachedAccess) -> float:
        """Until a session or a key ends by itself, or the clock is to be looked at again."""
        if known.expire_time is None:
            return _MAX_SLEEP_SECONDS
        return max(0.0, min(_MAX_SLEEP_SECONDS, (known.expire_time - self._now()).total_seconds()))


def _follows(news: News, known: LogEnd) -> bool:
    """Whether what is new since is all that has changed since."""
    return news.timeline == known.timeline and Snapshot.of(news.visible).covers(Snapshot.of(known.snapshot))
