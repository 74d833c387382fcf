from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.commerce.errors import ProductNotFound
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import Refusal
from storage.commerce.records import Price, Product

ProductKey = UUID | str
"""A product's id, or its SKU."""


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """A product as a caller describes it."""

    sku: str
    name: str
    description: str
    price: Price
    archived: bool

    def as_product(self, product_id: UUID, now: datetime) -> Product:
        return Product(product_id, self.sku, self.name, self.description, self.price, self.archived, 1, now, now)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import will do."""

    new: Sequence[Product]
    changed: Sequence[Product]
    unchanged: int


@dataclass(frozen=True, slots=True)
class ImportCount:
    """What an import did."""

    created: int
    updated: int
    unchanged: int


def found(product: Product | None, key: ProductKey) -> Product | Refusal:
    """The answer to a request for a product by its key."""
    if product is not None:
        return product
    return ProductNotFound(product_id=str(key)) if isinstance(key, UUID) else ProductNotFound(sku=key)


def edited(product: Product, edit: Edit[UUID], now: datetime) -> Product:
    """The product after an edit; raises EtagMismatch where another edit came first."""
    check_etag(product, edit)
    return changed(product, edit.values, now)


def latest_by_sku(drafts: Sequence[ProductDraft]) -> Mapping[str, ProductDraft]:
    """One draft a SKU: the last that was sent."""
    return {draft.sku: draft for draft in drafts}


def plan_import(
    drafts: Mapping[str, ProductDraft], existing: Mapping[str, Product], new_ids: Sequence[UUID], now: datetime
) -> ImportPlan:
    """Sorts drafts into new, changed and unchanged products; there is an id at hand for each draft."""
    new = [
        draft.as_product(product_id, now)
        for draft, product_id in zip(drafts.values(), new_ids, strict=True)
        if draft.sku not in existing
    ]
    imported = [changed(product, _values(drafts[sku]), now) for sku, product in existing.items()]
    differing = [product for product in imported if product.version != existing[product.sku].version]
    return ImportPlan(new, differing, len(imported) - len(differing))


def _values(draft: ProductDraft) -> Mapping[str, Any]:
    names = ("name", "description", "price", "archived")
    return {name: getattr(draft, name) for name in names}
