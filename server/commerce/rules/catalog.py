from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.commerce.errors import ProductNotFound
from server.frame.errors import EtagMismatch, Refusal
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
class ProductEdit:
    """The fields to change and their new values, of the product that the caller read under an etag."""

    product_id: UUID
    etag: str
    """Empty where the caller does not mind edits in between."""
    values: Mapping[str, Any]


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
    """What whoever asked for a product by its key is answered with."""
    if product is not None:
        return product
    return ProductNotFound(product_id=str(key)) if isinstance(key, UUID) else ProductNotFound(sku=key)


def etag_of(product: Product) -> str:
    return f"v{product.version}"


def edited(product: Product, edit: ProductEdit, now: datetime) -> Product:
    """The product after an edit; raises EtagMismatch where another edit came first."""
    if edit.etag and edit.etag != etag_of(product):
        raise EtagMismatch(etag=etag_of(product))
    return _changed(product, edit.values, now)


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
    imported = [_changed(product, _values(drafts[sku]), now) for sku, product in existing.items()]
    changed = [product for product in imported if product.version != existing[product.sku].version]
    return ImportPlan(new, changed, len(imported) - len(changed))


def _values(draft: ProductDraft) -> Mapping[str, Any]:
    names = ("name", "description", "price", "archived")
    return {name: getattr(draft, name) for name in names}


def _changed(product: Product, values: Mapping[str, Any], now: datetime) -> Product:
    """The product with new values; the same one where none of them is new."""
    if all(getattr(product, name) == value for name, value in values.items()):
        return product
    return replace(product, **values, version=product.version + 1, update_time=now)
