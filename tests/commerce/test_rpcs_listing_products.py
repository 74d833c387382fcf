"""ListProducts, over the wire: order, pages, and tokens."""

import base64
from typing import Any

import grpc

from backroom.commerce.v1 import catalog_service_pb2 as pb
from backroom.commerce.v1 import inventory_service_pb2, order_service_pb2
from backroom.common.v1 import page_pb2
from tests.commerce.books import count
from tests.commerce.goods import created, draft, pages
from tests.fixtures.servers import Api, Running, refusal

SKUS = sorted(["10", "9", "85123A", "85123a", "_", "~", "a b", "a!"])


async def skus(api: Api, **request: Any) -> list[list[str]]:
    """The SKUs of all pages."""
    read = await pages(api.catalog.ListProducts, pb.ListProductsRequest(**request), "products")
    return [[product.sku for product in page] for page in read]


async def token(api: Api, **request: Any) -> str:
    page = await api.catalog.ListProducts(pb.ListProductsRequest(page_size=1, **request))
    return str(page.next_page_token)


async def imported(api: Api, *names: str) -> None:
    await api.catalog.ImportProducts(iter([pb.ImportProductsRequest(product=draft(sku)) for sku in names]))


async def test_pages_hold_each_product_once_in_the_order_of_ascii(service: Api, customer: Api) -> None:
    """Whatever their size, and without an empty page at the end; an empty catalog is one empty page."""
    assert await skus(customer) == [[]]
    await imported(service, *SKUS)
    for size in (1, 3, 4, 8, 9):
        expected = [SKUS[start : start + size] for start in range(0, len(SKUS), size)]
        assert await skus(customer, page_size=size) == expected


async def test_a_listed_product_is_complete(service: Api) -> None:
    """It equals GetProduct's."""
    product = await created(service, "A", description="much")
    listed = await service.catalog.ListProducts(pb.ListProductsRequest())
    assert [*listed.products] == [product]


async def test_archived_products_are_listed_on_request(service: Api) -> None:
    """While hidden, they do not shorten a page."""
    for sku in "ABCDE":
        await created(service, sku, archived=sku in "BD")
    assert await skus(service, page_size=2) == [["A", "C"], ["E"]]
    assert await skus(service, page_size=2, show_archived=True) == [["A", "B"], ["C", "D"], ["E"]]


async def test_products_added_and_archived_meanwhile_do_not_shift_the_pages(service: Api) -> None:
    """The token says after which SKU to continue, even if that product is hidden by now (openfga#1078)."""
    for sku in "BDF":
        product = await created(service, sku)
        if sku == "D":
            hidden = product
    first = await service.catalog.ListProducts(pb.ListProductsRequest(page_size=2))
    assert [product.sku for product in first.products] == ["B", "D"]
    hidden.archived = True
    await service.catalog.UpdateProduct(pb.UpdateProductRequest(product=hidden))
    await imported(service, "A", "C", "E")
    assert await skus(service, page_size=2, page_token=first.next_page_token) == [["E", "F"]]


async def test_the_size_of_a_page_has_a_default_and_a_maximum(server: Running, service: Api) -> None:
    """0 means 50, and above 1,000 means 1,000; a token may be used with any size."""
    await imported(service, *(f"{n:04}" for n in range(1001)))
    assert await count(server.database, "products") == 1001
    first = await service.catalog.ListProducts(pb.ListProductsRequest())
    assert len(first.products) == 50
    assert [len(page) for page in await skus(service, page_size=5000)] == [1000, 1]
    assert [len(page) for page in await skus(service, page_size=2**31 - 1, page_token=first.next_page_token)] == [951]


async def test_a_field_out_of_bounds_is_named_by_its_path(service: Api) -> None:
    """A negative size, and a token too long or with a NUL."""
    for size in (-1, -(2**31)):
        refused = await refusal(service.catalog.ListProducts(pb.ListProductsRequest(page_size=size)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [*refused.fields] == ["page_size"]
    for page_token in ("A" * 1025, "\0"):
        refused = await refusal(service.catalog.ListProducts(pb.ListProductsRequest(page_token=page_token)))
        assert [*refused.fields] == ["page_token"]


async def test_a_token_is_bound_to_its_list_and_its_filters(service: Api) -> None:
    """A list of other products, of movements or of orders cannot be continued with it."""
    await imported(service, "A", "B", "C")
    for given, asked in [(False, True), (True, False)]:
        page_token = await token(service, show_archived=given)
        request = pb.ListProductsRequest(page_token=page_token, show_archived=asked)
        refused = await refusal(service.catalog.ListProducts(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
        request.show_archived = given
        assert len((await service.catalog.ListProducts(request)).products) == 2
    page_token = await token(service)
    movements = inventory_service_pb2.ListStockMovementsRequest(sku="A", page_token=page_token)
    assert (await refusal(service.inventory.ListStockMovements(movements))).reason == "PAGE_TOKEN_INVALID"
    orders = order_service_pb2.ListOrdersRequest(page_token=page_token)
    assert (await refusal(service.orders.ListOrders(orders))).reason == "PAGE_TOKEN_INVALID"


async def test_a_corrupted_token_is_refused(service: Api) -> None:
    """Whatever it holds, and however it is written."""
    await imported(service, "A", "B")
    good = await token(service)
    content = page_pb2.PageToken.FromString(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    spoilt = [
        page_pb2.PageToken(after=content.after),
        page_pb2.PageToken(list_digest=content.list_digest),
        page_pb2.PageToken(list_digest=content.list_digest, after=["A", "B"]),
        page_pb2.PageToken(list_digest=content.list_digest, after=["A\0"]),
    ]
    written = [base64.urlsafe_b64encode(each.SerializeToString()).decode().rstrip("=") for each in spoilt]
    for page_token in ["A", "ä", "====", "AAAA", good[:-2], f"{good} ", *written]:
        refused = await refusal(service.catalog.ListProducts(pb.ListProductsRequest(page_token=page_token)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"), page_token


async def test_a_page_of_large_products_holds_fewer(service: Api, customer: Api) -> None:
    """Most clients accept 4 MiB: a page ends at 1 MiB, and the next one continues after it, with each product once."""
    names = [f"P{number:03}" for number in range(120)]
    large = [draft(sku, description="\N{PILE OF POO}" * 10_000) for sku in names]
    await service.catalog.ImportProducts(iter([pb.ImportProductsRequest(product=each) for each in large]))
    read = await pages(customer.catalog.ListProducts, pb.ListProductsRequest(page_size=1000), "products")
    assert [product.sku for page in read for product in page] == names
    assert len(read) == 5
    assert all(sum(product.ByteSize() for product in page) <= 2**20 for page in read)
