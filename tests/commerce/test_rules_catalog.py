"""Editing products one by one, and importing thousands of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commerce.rules.catalog import (
    ImportPlan,
    ProductDraft,
    edited,
    latest_by_sku,
    plan_import,
)
from server.frame.editing import Edit, etag_of
from server.frame.errors import EtagMismatch
from storage.commerce.records import Product
from tests.commerce.values import LATER, LAW, NOW, price, product

VALUES = {
    "name": st.sampled_from(["Name of A", "other"]),
    "description": st.sampled_from(["", "more"]),
    "price": st.sampled_from([price("2.55"), price("2.550"), price("2.55", "EUR"), price("9")]),
    "archived": st.booleans(),
}
BEFORE = product("A")


def edit(values: Mapping[str, Any], etag: str = "") -> Edit[UUID]:
    return Edit(BEFORE.id, etag, values)


def draft(sku: str, **rest: Any) -> ProductDraft:
    plain = ProductDraft(sku, f"Name of {sku}", "", price("2.55"), archived=False)
    return replace(plain, **rest)


def planned(drafts: list[ProductDraft], *existing: Product) -> ImportPlan:
    latest = latest_by_sku(drafts)
    return plan_import(latest, {each.sku: each for each in existing}, [uuid4() for _ in latest], LATER)


@LAW
@given(st.fixed_dictionaries({}, optional=VALUES))
def test_an_edit_changes_the_fields_it_names_and_no_others(values: dict[str, Any]) -> None:
    """The version and the update time change; without a difference, the product is the same."""
    after = edited(BEFORE, edit(values), LATER)
    if all(getattr(BEFORE, name) == value for name, value in values.items()):
        assert after == BEFORE
    else:
        assert after == replace(BEFORE, **values, version=2, update_time=LATER)
        assert etag_of(after) != etag_of(BEFORE)


def test_the_same_price_written_with_more_digits_is_no_change() -> None:
    """2.55 and 2.550 are the same amount."""
    assert edited(BEFORE, edit({"price": price("2.550000000")}), LATER) is BEFORE


def test_an_edit_with_the_current_etag_succeeds() -> None:
    """And so does one without an etag, whatever changed in between."""
    newer = replace(BEFORE, version=7)
    assert edited(newer, edit({"name": "n"}, etag_of(newer)), LATER).version == 8
    assert edited(newer, edit({"name": "n"}), LATER).version == 8


@pytest.mark.parametrize("values", [{"name": "n"}, {}])
def test_an_edit_under_an_older_etag_is_refused(values: dict[str, Any]) -> None:
    """Even if it would change nothing; the refusal states the current etag."""
    newer = replace(BEFORE, version=7)
    with pytest.raises(EtagMismatch) as refused:
        edited(newer, edit(values, etag_of(BEFORE)), LATER)
    assert refused.value.metadata == {"etag": etag_of(newer)}


def test_a_draft_becomes_a_product_in_its_first_version() -> None:
    """The server sets the id and the time."""
    product_id = uuid4()
    made = draft("A", description="more", archived=True).as_product(product_id, NOW)
    assert made == product("A", id=product_id, description="more", archived=True)


def test_the_last_draft_of_a_sku_counts() -> None:
    """SKUs that differ in case are two."""
    drafts = [draft("a"), draft("A", name="first"), draft("A", name="last")]
    assert latest_by_sku(drafts) == {"a": draft("a"), "A": draft("A", name="last")}


def test_an_import_is_sorted_into_new_changed_and_unchanged() -> None:
    """Only differences are written, and each product is in exactly one group."""
    same, other = product("SAME"), product("OTHER", version=4)
    plan = planned([draft("NEW"), draft("OTHER", name="other"), draft("SAME")], same, other)
    assert [(each.sku, each.version, each.create_time) for each in plan.new] == [("NEW", 1, LATER)]
    assert plan.changed == [replace(other, name="other", version=5, update_time=LATER)]
    assert plan.unchanged == 1


@LAW
@given(st.lists(st.sampled_from("ABCDE"), unique=True), st.lists(st.sampled_from("ABCDE")))
def test_every_sku_of_an_import_is_counted_once(existing: list[str], sent: list[str]) -> None:
    """Existing products that were not sent do not change."""
    plan = planned([draft(sku, name="new name") for sku in sent], *map(product, set(existing) & set(sent)))
    assert sorted(each.sku for each in plan.new) == sorted(set(sent) - set(existing))
    assert sorted(each.sku for each in plan.changed) == sorted(set(sent) & set(existing))
    assert plan.unchanged == 0
    assert len({each.id for each in plan.new}) == len(plan.new)


def test_an_import_unarchives_products() -> None:
    """archived is one of the fields that an import updates."""
    plan = planned([draft("A")], product("A", archived=True))
    assert [each.archived for each in plan.changed] == [False]
