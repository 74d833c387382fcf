"""UpdateProduct, over the wire: the mask, the etag, and repeated requests."""

from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from backroom.commerce.v1 import catalog_service_pb2 as pb
from backroom.commerce.v1 import products_pb2
from tests.commerce.goods import created, pounds, raw
from tests.fixtures.servers import Api, refusal

FILLED: dict[str, Any] = {"name": "first", "description": "much", "price": pounds(2), "archived": True}
CLEARED: dict[str, Any] = {"name": "", "description": "", "archived": False}


async def update(api: Api, product_id: str, *mask: str, request_id: str = "", **fields: Any) -> products_pb2.Product:
    product = products_pb2.Product(product_id=product_id, **fields)
    request = pb.UpdateProductRequest(request_id=request_id, product=product, update_mask=FieldMask(paths=mask))
    answer: products_pb2.Product = (await api.catalog.UpdateProduct(request)).product
    return answer


async def get(api: Api, product_id: str) -> products_pb2.Product:
    answer: products_pb2.Product = (await api.catalog.GetProduct(pb.GetProductRequest(product_id=product_id))).product
    return answer


def but_for(product: products_pb2.Product, after: products_pb2.Product, **fields: Any) -> products_pb2.Product:
    """The product with other values in these fields, and with the etag and the update_time of another."""
    expected = products_pb2.Product()
    expected.CopyFrom(product)
    for name in fields:
        expected.ClearField(name)  # type: ignore[arg-type]  # the names are Product's own
    expected.MergeFrom(products_pb2.Product(**fields))
    expected.etag = after.etag
    expected.update_time.CopyFrom(after.update_time)
    return expected


async def test_a_mask_changes_what_it_names_and_nothing_else(service: Api) -> None:
    """Other fields in the message are ignored (vikunja#1459)."""
    new: dict[str, Any] = {"name": "n", "description": "d", "price": pounds(9), "archived": False}
    for name in new:
        before = await created(service, name, **FILLED)
        after = await update(service, before.product_id, name, **new)
        assert after == but_for(before, after, **{name: new[name]})
        assert after.etag != before.etag
        assert after.update_time != before.update_time
        assert await get(service, before.product_id) == after


async def test_without_a_mask_the_fields_that_are_set_change(service: Api) -> None:
    """An empty text or False is not set, and clears nothing; a SKU that is sent back unchanged is accepted."""
    before = await created(service, "A", **FILLED)
    after = await update(service, before.product_id, **{**CLEARED, "name": "second"})
    assert after == but_for(before, after, name="second")
    assert await update(service, before.product_id, sku="B", name="second", etag=after.etag) == after


async def test_a_field_is_cleared_by_naming_it(service: Api) -> None:
    """All of them at once, some of them twice."""
    before = await created(service, "A", **FILLED)
    after = await update(service, before.product_id, "name", "description", "archived", "name")
    assert after == but_for(before, after, **CLEARED)


async def test_an_update_without_a_difference_changes_nothing(service: Api) -> None:
    """Neither no field at all nor fields with their current values make a new version."""
    before = await created(service, "A", **FILLED)
    assert await update(service, before.product_id) == before
    assert await update(service, before.product_id, "name", "price", name="first", price=pounds(2)) == before
    assert await update(service, before.product_id, etag=before.etag) == before


async def test_a_mask_can_name_only_fields_that_can_be_changed(service: Api) -> None:
    """Neither the SKU, nor output-only fields, nor unknown ones, and nothing else is changed."""
    before = await created(service, "A")
    for path in ("sku", "product_id", "etag", "create_time", "update_time", "price.units", "*", "Name", "none", ""):
        refused = await refusal(update(service, before.product_id, "name", path, name="other", sku="B"))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), path
        assert [*refused.fields] == ["update_mask"], path
    assert await get(service, before.product_id) == before


async def test_a_field_out_of_bounds_is_named_by_its_path(service: Api) -> None:
    """A price is required if the mask names it."""
    product = await created(service, "A")
    cases: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
        ("product.name", (), {"name": "n" * 201}),
        ("product.description", ("name",), {"description": "d" * 10_001}),
        ("product.price", (), {"price": pounds(0, -1)}),
        ("product.price", ("price",), {}),
        ("product.name", (), {"name": "\0"}),
        ("update_mask.paths[1]", ("name", "name\0"), {}),
    ]
    for path, mask, fields in cases:
        refused = await refusal(update(service, product.product_id, *mask, **fields))
        assert (refused.code, refused.reason, [*refused.fields]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            [path],
        )
    for path, product_id in [("product.product_id", ""), ("product.product_id", "1")]:
        assert [*(await refusal(update(service, product_id, name="n"))).fields] == [path]
    assert [*(await refusal(service.catalog.UpdateProduct(pb.UpdateProductRequest()))).fields] == ["product"]
    assert await get(service, product.product_id) == product


async def test_a_missing_product_is_named(service: Api) -> None:
    """By its id, whatever etag was sent."""
    product_id = str(uuid4())
    refused = await refusal(update(service, product_id, name="n", etag="v1"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert refused.metadata == {"product_id": product_id}


async def test_a_concurrent_edit_is_refused(service: Api) -> None:
    """The second of two with the same etag is refused, with the current one."""
    read = await created(service, "A")
    first = await update(service, read.product_id, name="first", etag=read.etag)
    refused = await refusal(update(service, read.product_id, description="second", etag=read.etag))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refused.metadata == {"etag": first.etag}
    assert await get(service, read.product_id) == first
    after = await update(service, read.product_id, description="second", etag=first.etag)
    assert (after.name, after.description) == ("first", "second")


async def test_a_repeated_update_gets_the_first_answer(service: Api) -> None:
    """Byte for byte even after other edits, which it does not undo, and although its etag is old by now."""
    read = await created(service, "A")
    product = products_pb2.Product(product_id=read.product_id, name="first", etag=read.etag)
    request = pb.UpdateProductRequest(request_id=str(uuid4()), product=product)
    first = await service.catalog.UpdateProduct(request)
    second = await update(service, read.product_id, name="second")
    assert raw(await service.catalog.UpdateProduct(request)) == raw(first)
    assert await get(service, read.product_id) == second


async def test_a_request_id_is_bound_to_one_content(service: Api) -> None:
    """Another value, another mask, and another method are other content."""
    product = await created(service, "A")
    request_id = str(uuid4())
    await update(service, product.product_id, name="n", request_id=request_id)
    for call in (
        update(service, product.product_id, name="m", request_id=request_id),
        update(service, product.product_id, "name", name="n", request_id=request_id),
        service.catalog.CreateProduct(pb.CreateProductRequest(request_id=request_id, product=product)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_a_refused_update_may_be_tried_again(service: Api) -> None:
    """The etag was wrong; the same request_id can be used again."""
    product = await created(service, "A")
    request_id = str(uuid4())
    assert (await refusal(update(service, product.product_id, name="n", etag="v9", request_id=request_id))).reason
    assert (await update(service, product.product_id, name="n", request_id=request_id)).name == "n"
