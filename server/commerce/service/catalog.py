from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from server.commerce import errors
from server.commerce.rules import catalog as rules
from server.commerce.service.answers import IMPORT_COUNT, PRODUCT
from server.frame.batching import retry_on_contention
from server.frame.editing import Edit
from server.frame.errors import Refusal
from server.frame.repeating import once
from storage.commerce.records import Product
from storage.commerce.store import CommerceStore, CommerceTransaction
from storage.errors import StoreContention
from storage.frame.records import ChangeContext


class Catalog:
    """What is sold, under which SKU, at which price."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, draft: rules.ProductDraft, context: ChangeContext) -> Product:
        """Creates a product with a stock of nothing; raises SkuTaken."""

        async def act(tx: CommerceTransaction) -> Product:
            product = draft.as_product(self._new_id(), self._now())
            if not await tx.products.add([product]):
                raise errors.SkuTaken(sku=draft.sku)
            return product

        return await once(self._store, context, PRODUCT, act, f"product/{draft.sku}")

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> Product:
        """Changes the fields that the edit names; raises ProductNotFound, EtagMismatch."""

        async def act(tx: CommerceTransaction) -> Product:
            product = await tx.products.lock(edit.key)
            if product is None:
                raise errors.ProductNotFound(product_id=str(edit.key))
            changed = rules.edited(product, edit, self._now())
            await tx.products.change([changed])
            return changed

        return await once(self._store, context, PRODUCT, act, lambda product: f"product/{product.sku}")

    async def read(self, keys: Sequence[rules.ProductKey]) -> Sequence[Product | Refusal]:
        """The products of these ids and SKUs; ProductNotFound for a key without one."""
        async with self._store.reading() as reading:
            by_id = await reading.products.find_many({key for key in keys if isinstance(key, UUID)})
            by_sku = await reading.products.find_many_by_sku({key for key in keys if isinstance(key, str)})
        return [rules.found(by_id.get(key) if isinstance(key, UUID) else by_sku.get(key), key) for key in keys]

    async def list_by_sku(self, *, after: str | None, limit: int, archived: bool, size: int) -> Sequence[Product]:
        """Up to so many, and fewer where they are large: those whose texts are up to `size` bytes, and one more."""
        async with self._store.reading() as reading:
            return await reading.products.list_by_sku(after=after, limit=limit, archived=archived, size=size)

    async def import_all(self, drafts: Sequence[rules.ProductDraft], context: ChangeContext) -> rules.ImportCount:
        """Creates what is new and changes what differs, all in one transaction; of a SKU, the last draft counts."""
        latest = rules.latest_by_sku(drafts)
        # Another import may create some of them in the meantime; begun again, this one finds them.
        return await retry_on_contention(lambda: self._import(latest, context))

    async def _import(self, latest: Mapping[str, rules.ProductDraft], context: ChangeContext) -> rules.ImportCount:

        async def act(tx: CommerceTransaction) -> rules.ImportCount:
            existing = await tx.products.lock_by_sku(list(latest))
            plan = rules.plan_import(latest, existing, [self._new_id() for _ in latest], self._now())
            added = await tx.products.add(plan.new)
            if len(added) != len(plan.new):
                raise StoreContention
            await tx.products.change(plan.changed)
            await tx.audit.record([context.entry(f"product/{each.sku}") for each in (*plan.new, *plan.changed)])
            return rules.ImportCount(len(added), len(plan.changed), plan.unchanged)

        return await once(self._store, context, IMPORT_COUNT, act, None)
