from server.webhooks.seals import SecretSeals
from storage.webhooks.store import WebhooksStore

_BATCH_SIZE = 500


class Sealing:
    """Seals what an earlier version left in the clear, or a master key sealed that is to go."""

    def __init__(self, store: WebhooksStore, seals: SecretSeals) -> None:
        self._store = store
        self._seals = seals

    async def seal(self) -> int:
        """Seals secrets, piece by piece, each in a transaction of its own, and returns how many those were.

        Raises SealBroken where a master key is missing.
        """
        count = 0
        while True:
            async with self._store.transaction() as tx:
                found = await tx.endpoints.list_to_seal(self._seals.mark, _BATCH_SIZE)
                for secret in map(self._seals.sealed, found):
                    await tx.endpoints.seal_secret(secret.endpoint_id, secret.generation, secret.secret)
            count += len(found)
            if len(found) < _BATCH_SIZE:
                return count
