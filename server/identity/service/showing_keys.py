import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.identity.credentials.access_cache import AccessCache
from server.identity.credentials.secrets import Secrets, key_hash
from server.identity.errors import CredentialsInvalid
from server.identity.service.api_keys import ApiKeys
from storage.errors import StoreError
from storage.frame.records import ChangeContext

KNOWN_SECONDS = 60.0
"""For how long a key is known again without a look: as exactly as its last use is noted."""
_CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    account_id: UUID
    key_id: UUID
    until: float


class ShownKeys:
    """Callers that show their API key with each request, instead of exchanging it for a token.

    A key is looked up once a minute. What it lets in is looked up as for a token, so that a key that is deleted, and
    an account that is disabled or loses a role, is known of within a second.
    """

    def __init__(
        self, api_keys: ApiKeys, access_cache: AccessCache, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._api_keys = api_keys
        self._access_cache = access_cache
        self._elapsed = elapsed
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        """By the keys' hashes."""

    async def caller_with(self, credential: str, context: ChangeContext, *, while_away: bool = False) -> Caller:
        """Whom an access token or an API key stands for; raises TokenInvalid.

        With `while_away`, what was known of it last will do where the database does not say what it is now.
        """
        if not credential.startswith(Secrets.KEY_PREFIX):
            return await self._access_cache.caller_of(credential, while_away=while_away)
        known = await self._find(credential, context, while_away=while_away)
        return await self._access_cache.caller_behind(known.account_id, known.key_id, while_away=while_away)

    async def _find(self, key: str, context: ChangeContext, *, while_away: bool) -> _Known:
        hashed, now = key_hash(key), self._elapsed()
        known = self._known.get(hashed)
        if known is not None and now < known.until:
            return known
        try:
            found = await self._api_keys.identify(key, context)
        except CredentialsInvalid:
            self._known.pop(hashed, None)
            raise TokenInvalid from None
        except StoreError:
            if known is None or not while_away:
                raise
            return known
        known = self._known[hashed] = _Known(found.account_id, found.id, now + KNOWN_SECONDS)
        self._known.move_to_end(hashed)
        if len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)
        return known
