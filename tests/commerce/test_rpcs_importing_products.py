"""ImportProducts, over the wire: all or nothing, with exact counts."""

from itertools import product as combinations
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import catalog_service_pb2 as pb
from backroom.commerce.v1 import products_pb2
from server.commerce.servicer import CatalogServicer
from tests.commerce.books import count
from tests.commerce.goods import created, draft, pounds, raw, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.fixtures.trading import eventually
from tests.invariants import broken

SERVICER = "server.commerce.servicer.catalog"


def stream(*products: products_pb2.Product, request_id: str = "") -> Any:
    """The messages of one import; the first has the request_id."""
    messages = [pb.ImportProductsRequest(product=product) for product in products]
    if messages:
        messages[0].request_id = request_id
    return iter(messages)


async def import_all(api: Api, *products: products_pb2.Product, request_id: str = "") -> tuple[int, int, int]:
    """(created, updated, unchanged)"""
    answer = await api.catalog.ImportProducts(stream(*products, request_id=request_id))
    return (answer.created_count, answer.updated_count, answer.unchanged_count)


async def all_products(api: Api) -> dict[str, products_pb2.Product]:
    listed = await api.catalog.ListProducts(pb.ListProductsRequest(show_archived=True))
    return {product.sku: product for product in listed.products}


async def test_an_import_creates_updates_and_leaves_unchanged(server: Running, service: Api) -> None:
    """Each product of it is counted once, and products that are not in it do not change."""
    same, other, unsent = [await created(service, sku) for sku in ("SAME", "OTHER", "UNSENT")]
    new = draft("NEW", description="much", archived=True)
    changed = draft("OTHER", name="n", description="d", price=pounds(0, 1_000_000), archived=True)
    assert await import_all(service, new, changed, draft("SAME")) == (1, 1, 1)
    found = await all_products(service)
    assert (found["SAME"], found["UNSENT"]) == (same, unsent)
    for sent, kept in ((new, found["NEW"]), (changed, found["OTHER"])):
        assert (kept.name, kept.description, kept.price) == (sent.name, sent.description, sent.price)
        assert kept.archived
    assert found["OTHER"].product_id == other.product_id
    assert found["OTHER"].etag != other.etag
    assert found["OTHER"].create_time == other.create_time
    assert found["OTHER"].update_time != other.update_time
    assert await stock_of(service, "NEW") == (0, 0, 0)
    assert await broken(server.database) == {}


async def test_the_last_draft_of_a_sku_counts(service: Api) -> None:
    """Whether the SKU is new or exists; the counts are of SKUs, and another case is another SKU."""
    await created(service, "OLD")
    sent = [draft(sku, name=name) for name in ("first", "last") for sku in ("OLD", "NEW", "new")]
    assert await import_all(service, *sent) == (2, 1, 0)
    assert {product.name for product in (await all_products(service)).values()} == {"last"}


async def test_the_same_import_twice_changes_nothing(service: Api) -> None:
    """Even without a request_id: the second finds everything unchanged; and an empty import is no error."""
    sent = [draft(f"{n:03}", price=pounds(n, n)) for n in range(300)]
    assert await import_all(service, *sent) == (300, 0, 0)
    before = await all_products(service)
    assert await import_all(service, *reversed(sent)) == (0, 0, 300)
    assert await all_products(service) == before
    assert await import_all(service) == (0, 0, 0)


async def test_one_bad_product_imports_nothing(server: Running, service: Api) -> None:
    """Wherever it is, and whichever of its fields is bad."""
    bads = {
        "product.price": products_pb2.Product(sku="BAD"),
        "product.sku": draft(""),
        "product.name": draft("BAD", name="n" * 201),
        "product.description": draft("BAD", description="\0"),
    }
    for place, (path, bad) in combinations(range(3), bads.items()):
        sent = [draft("A"), draft("B")]
        sent.insert(place, bad)
        refused = await refusal(service.catalog.ImportProducts(stream(*sent)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [*refused.fields] == [path]
    refused = await refusal(service.catalog.ImportProducts(iter([pb.ImportProductsRequest()])))
    assert [*refused.fields] == ["product"]
    assert await count(server.database, "products") == 0


async def test_too_many_products_import_nothing(server: Running, service: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The maximum number is imported, and with one more, none."""
    monkeypatch.setattr(f"{SERVICER}.MAX_IMPORTED", 3)
    assert await import_all(service, *map(draft, "ABC")) == (3, 0, 0)
    refused = await refusal(service.catalog.ImportProducts(stream(*map(draft, "DEFG"))))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [*refused.fields] == ["product"]
    assert await count(server.database, "products") == 3


async def test_too_large_an_import_imports_nothing(
    server: Running, service: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is kept in memory until the last product has arrived; unknown fields are dropped."""
    large = draft("A", description="x" * 400)
    monkeypatch.setattr(f"{SERVICER}.MAX_IMPORTED_BYTES", 1000)
    refused = await refusal(service.catalog.ImportProducts(stream(large, large, large)))
    assert refused.fields == {"product": "an import may have at most 1,000 bytes of products"}
    assert await count(server.database, "products") == 0
    unknown = b"\xfa\x01\x7f" + bytes(127)
    bodies = [message.SerializeToString() + unknown for message in stream(*[draft("A")] * 9)]
    answer = await service.catalog.ImportProducts(map(pb.ImportProductsRequest.FromString, bodies))
    assert answer.created_count == 1


async def test_a_repeated_import_gets_the_first_answer(service: Api) -> None:
    """Byte for byte, and later changes are not undone."""
    await created(service, "OLD")
    request_id = str(uuid4())
    sent = [draft("OLD", name="imported"), draft("NEW", name="imported")]
    first = await service.catalog.ImportProducts(stream(*sent, request_id=request_id))
    assert await import_all(service, draft("OLD", name="later")) == (0, 1, 0)
    again = await service.catalog.ImportProducts(stream(*sent, request_id=request_id))
    assert raw(again) == raw(first)
    assert (again.created_count, again.updated_count) == (1, 1)
    assert (await all_products(service))["OLD"].name == "later"


async def test_a_request_id_is_bound_to_one_stream(server: Running, service: Api) -> None:
    """More, fewer, other or reordered products are other content."""
    request_id = str(uuid4())
    a, b = draft("A"), draft("B")
    await import_all(service, a, b, request_id=request_id)
    for sent in ([a], [a, b, draft("C")], [b, a], [a, draft("B", name="n")]):
        refused = await refusal(service.catalog.ImportProducts(stream(*sent, request_id=request_id)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await count(server.database, "products") == 2


async def test_a_refused_import_may_be_tried_again(service: Api) -> None:
    """Its request_id can then be used for what is sent next."""
    request_id = str(uuid4())
    bad = stream(draft("A"), draft(" "), request_id=request_id)
    assert (await refusal(service.catalog.ImportProducts(bad))).reason == "FIELD_INVALID"
    assert await import_all(service, draft("A"), request_id=request_id) == (1, 0, 0)


async def test_an_import_unarchives_products_and_does_not_change_the_stock(service: Api) -> None:
    """archived is one of the fields that an import updates; the stock on hand does not change."""
    await stocked(service, "A", 5, archived=True)
    assert await import_all(service, draft("A", price=pounds(9))) == (0, 1, 0)
    assert not (await all_products(service))["A"].archived
    assert await stock_of(service, "A") == (5, 0, 5)


async def test_an_import_that_stalls_is_ended(service: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its products stay in memory meanwhile, and a stream has no deadline of its own; nothing is imported."""
    monkeypatch.setattr(f"{SERVICER}.MAX_PAUSE_SECONDS", 0.2)
    call = service.catalog.ImportProducts()
    await call.write(pb.ImportProductsRequest(product=draft("TEA")))
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert await all_products(service) == {}


async def test_concurrent_imports_share_a_memory_limit(
    server: Running, service: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty at once could fill the memory: the excess is refused with a time to retry, and then succeeds."""
    monkeypatch.setattr(f"{SERVICER}.MAX_KEPT_BYTES", 15_000)
    first = service.catalog.ImportProducts()
    await first.write(pb.ImportProductsRequest(product=draft("TEA", description="t" * 9_000)))
    other = draft("MUG", description="m" * 9_000)
    await eventually(lambda: kept_bytes(server), lambda kept: kept > 9_000)
    assert (await refusal(service.catalog.ImportProducts(stream(other)))).reason == "OVERLOADED"
    await first.done_writing()
    assert (await first).created_count == 1
    assert await kept_bytes(server) == 0
    assert await import_all(service, other) == (1, 0, 0)


async def kept_bytes(server: Running) -> int:
    """How many bytes all imports under way hold."""
    [kept] = [each.servicer for each in server.application.services if isinstance(each.servicer, CatalogServicer)]
    return kept._kept_bytes
