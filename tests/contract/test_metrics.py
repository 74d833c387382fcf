"""Metrics, under the names that gRPC dashboards know."""

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2
from backroom.identity.v1 import identity_service_pb2
from tests.commerce.goods import ask
from tests.contract.hostile import SOLD
from tests.contract.probes import checked
from tests.contract.scrape import Scrape, scraped
from tests.fixtures.servers import Api, Running, refusal

LABELS = {"grpc_type", "grpc_service", "grpc_method"}


def grown(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    return after.sum(name, **labels) - before.sum(name, **labels)


async def test_a_call_is_counted_when_it_starts_and_when_it_ends(server: Running, admin: Api) -> None:
    """With its type, service, method and code, and its duration."""
    before = await scraped(server)
    await admin.identity.GetMe(identity_service_pb2.GetMeRequest())
    await refusal(server.anonymous.identity.GetMe(identity_service_pb2.GetMeRequest()))
    after = await scraped(server)
    method = {
        "grpc_type": "unary",
        "grpc_service": "backroom.identity.v1.IdentityService",
        "grpc_method": "GetMe",
    }
    assert grown(before, after, "grpc_server_started_total", **method) == 2
    assert grown(before, after, "grpc_server_handled_total", **method, grpc_code="OK") == 1
    assert grown(before, after, "grpc_server_handled_total", **method, grpc_code="Unauthenticated") == 1
    assert grown(before, after, "grpc_server_handled_total", **method) == 2
    assert grown(before, after, "grpc_server_handling_seconds_count", **method) == 2
    assert 0 < grown(before, after, "grpc_server_handling_seconds_sum", **method) < 60


async def test_a_stream_is_counted_by_its_type(server: Running, admin: Api) -> None:
    """Bidirectional, server and client streams are counted separately from unary calls."""
    before = await scraped(server)
    asks = [order_service_pb2.PlaceOrdersRequest(order=ask((SOLD, 1)))]
    assert [answer async for answer in admin.orders.PlaceOrders(iter(asks))]
    await admin.catalog.ImportProducts(iter([]))
    after = await scraped(server)
    handled = "grpc_server_handled_total"
    assert grown(before, after, handled, grpc_type="bidi_stream", grpc_method="PlaceOrders", grpc_code="OK") == 1
    assert grown(before, after, handled, grpc_type="client_stream", grpc_method="ImportProducts", grpc_code="OK") == 1


async def test_metrics_have_these_names_and_labels(server: Running, admin: Api) -> None:
    """Dashboards query them by name."""
    await admin.catalog.ListProducts(catalog_service_pb2.ListProductsRequest())
    found = {
        sample.name: set(sample.labels)
        for sample in (await scraped(server)).samples
        if sample.name.startswith("grpc_server_") and not sample.name.endswith("_created")
    }
    assert found == {
        "grpc_server_started_total": LABELS,
        "grpc_server_handled_total": LABELS | {"grpc_code"},
        "grpc_server_handling_seconds_bucket": LABELS | {"le"},
        "grpc_server_handling_seconds_count": LABELS,
        "grpc_server_handling_seconds_sum": LABELS,
    }


async def test_a_standard_services_own_refusal_is_counted_with_its_code(server: Running) -> None:
    """Health returns NOT_FOUND itself, without one of our refusals."""
    before = await scraped(server)
    assert await checked(server.channel, "nobody") == "NOT_FOUND"
    after = await scraped(server)
    assert grown(before, after, "grpc_server_handled_total", grpc_method="Check", grpc_code="NotFound") == 1
