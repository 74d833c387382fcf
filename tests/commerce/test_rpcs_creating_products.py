"""CreateProduct and GetProduct, over the wire."""

from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from backroom.commerce.v1 import catalog_service_pb2 as pb
from backroom.commerce.v1 import products_pb2
from tests.commerce.books import count
from tests.commerce.goods import created, draft, pounds, raw, stock_of
from tests.fixtures.servers import Api, Running, refusal

OUT_OF_BOUNDS: list[tuple[str, dict[str, Any]]] = [
    *(("product.sku", {"sku": sku}) for sku in ("", "A" * 65, " A", "A ", "A\n", "A\tB", "Ä", "A\0")),
    ("product.name", {"name": "n" * 201}),
    ("product.name", {"name": "a\0b"}),
    ("product.description", {"description": "d" * 10_001}),
    ("product.description", {"description": "\0"}),
    ("product.etag", {"etag": "e" * 65}),
    ("product.product_id", {"product_id": "1"}),
    ("product.price", {"price": None}),
    *(("product.price", {"price": pounds(*amount)}) for amount in ((-1,), (0, -1), (0, 10**9), (10**9, 1), (2**40,))),
    *(
        ("product.price", {"price": money_pb2.Money(units=1, currency_code=code)})
        for code in ("", "gbp", "GB", "GBPP", "GBP\n", "ÄÖÜ")
    ),
]


async def create(api: Api, request_id: str = "", **product: Any) -> products_pb2.Product:
    request = pb.CreateProductRequest(request_id=request_id, product=draft(**{"sku": "A", **product}))
    answer: products_pb2.Product = (await api.catalog.CreateProduct(request)).product
    return answer


async def get(api: Api, **key: str) -> products_pb2.Product:
    answer: products_pb2.Product = (await api.catalog.GetProduct(pb.GetProductRequest(**key))).product
    return answer


async def test_a_product_is_created_as_described(service: Api) -> None:
    """With an id, an etag and times from the server, and without stock."""
    product = await create(service, description="ä" * 10_000, archived=True)
    expected = draft("A", description="ä" * 10_000, archived=True)
    expected.MergeFrom(products_pb2.Product(product_id=product.product_id, etag=product.etag))
    expected.create_time.CopyFrom(product.create_time)
    expected.update_time.CopyFrom(product.create_time)
    assert product == expected
    assert product.product_id
    assert product.etag
    assert product.create_time.seconds > 0
    assert await stock_of(service, "A") == (0, 0, 0)


async def test_output_only_fields_are_ignored_on_input(service: Api) -> None:
    """A caller can choose neither the id nor the etag nor the times."""
    product_id = str(uuid4())
    times: dict[str, Any] = {"create_time": Timestamp(seconds=1), "update_time": Timestamp(seconds=2)}
    product = await create(service, product_id=product_id, etag="mine", **times)
    assert product.product_id != product_id
    assert product.etag != "mine"
    assert product.create_time == product.update_time
    assert product.create_time.seconds > 2


async def test_the_bounds_themselves_are_allowed(service: Api) -> None:
    """The longest texts, counted in characters, and the lowest and highest prices."""
    for sku, price in {
        "~" * 64: pounds(10**9),
        "!": pounds(0),
        "a b": pounds(0, 1),
        "0": pounds(999_999_999, 999_999_999),
    }.items():
        product = await create(service, sku=sku, name="ä" * 200, description="€" * 10_000, price=price)
        assert (product.sku, product.price) == (sku, price)
        assert await get(service, sku=sku) == product


async def test_a_field_out_of_bounds_is_named_by_its_path(server: Running, service: Api) -> None:
    """All of them at once, so that a form is corrected in one go; and nothing is created."""
    for path, given in OUT_OF_BOUNDS:
        refused = await refusal(create(service, **given))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), given
        assert [*refused.fields] == [path], given
    assert [*(await refusal(create(service, request_id="1"))).fields] == ["request_id"]
    assert [*(await refusal(service.catalog.CreateProduct(pb.CreateProductRequest()))).fields] == ["product"]
    assert await count(server.database, "products") == 0
    refused = await refusal(create(service, request_id="1", sku=" ", name="n" * 201, price=pounds(-1)))
    assert {*refused.fields} == {"request_id", "product.sku", "product.name", "product.price"}


async def test_a_taken_sku_is_refused(service: Api) -> None:
    """The refusal names it, the first product does not change, and another case is another SKU."""
    first = await create(service, sku="85123A")
    refused = await refusal(create(service, sku="85123A", name="other"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SKU_TAKEN")
    assert refused.metadata == {"sku": "85123A"}
    assert await get(service, sku="85123A") == first
    assert (await create(service, sku="85123a")).product_id != first.product_id


async def test_a_repeated_creation_gets_the_first_answer(server: Running, service: Api) -> None:
    """Byte for byte, even after the product has changed, and no second product is created."""
    request = pb.CreateProductRequest(request_id=str(uuid4()), product=draft("A", price=pounds(0, 1)))
    first = await service.catalog.CreateProduct(request)
    changed = products_pb2.Product(product_id=first.product.product_id, name="other", archived=True)
    await service.catalog.UpdateProduct(pb.UpdateProductRequest(product=changed))
    again = await service.catalog.CreateProduct(request)
    assert raw(again) == raw(first)
    assert await count(server.database, "products") == 1
    assert (await get(service, sku="A")).name == "other"


async def test_a_request_id_is_bound_to_one_content(service: Api, admin: Api) -> None:
    """For one caller: another caller's equal request_id is separate."""
    request_id = str(uuid4())
    await create(service, request_id)
    refused = await refusal(create(service, request_id, sku="B"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert (await refusal(get(service, sku="B"))).reason == "PRODUCT_NOT_FOUND"
    assert (await create(admin, request_id, sku="B")).sku == "B"


async def test_a_refused_creation_may_be_tried_again(service: Api) -> None:
    """The refusal is not stored under its request_id, which may then have other content."""
    await create(service, sku="A")
    request_id = str(uuid4())
    assert (await refusal(create(service, request_id, sku="A"))).reason == "SKU_TAKEN"
    assert (await create(service, request_id, sku="B")).sku == "B"


async def test_a_product_is_read_by_its_id_and_by_its_sku(service: Api, customer: Api) -> None:
    """A caller who may read the catalog gets the same product both ways."""
    product = await created(service, "A")
    assert await get(customer, product_id=product.product_id) == product
    assert await get(customer, product_id=product.product_id.upper()) == product
    assert await get(customer, sku="A") == product


async def test_a_key_that_finds_nothing_or_is_out_of_bounds_is_named(service: Api) -> None:
    """A SKU's case matters; an id is a UUID, and one of the two is required."""
    await created(service, "A")
    for key in ({"sku": "a"}, {"sku": "'; --"}, {"product_id": str(uuid4())}):
        refused = await refusal(get(service, **key))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
        assert refused.metadata == key
    for path, key in [
        ("key", {}),
        ("product_id", {"product_id": ""}),
        ("product_id", {"product_id": "1"}),
        ("product_id", {"product_id": uuid4().hex}),
        ("sku", {"sku": ""}),
        ("sku", {"sku": "A" * 65}),
        ("sku", {"sku": "A\0"}),
    ]:
        refused = await refusal(get(service, **key))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), key
        assert [*refused.fields] == [path], key


async def test_only_callers_who_may_write_the_catalog_create_products(server: Running, customer: Api) -> None:
    """A customer is refused before the product is looked at."""
    refused = await refusal(create(customer, sku=" "))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert refused.metadata == {"permission": "catalog.write"}
    assert await count(server.database, "products") == 0
