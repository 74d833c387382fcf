"""A blocking client on a fake channel, for which the test plays the server."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from backroom_client import Backroom, Credentials, Key
from tests.client.fake_channel import FakeChannel

KEY = Key("a key")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

EXCHANGE_KEY = access_service_pb2.DESCRIPTOR.services_by_name["AccessService"].methods_by_name["ExchangeKey"]
_IDENTITY = identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"].methods_by_name
LOGIN, REFRESH, REGISTER = _IDENTITY["Login"], _IDENTITY["Refresh"], _IDENTITY["Register"]
_ORDERS = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"].methods_by_name
PLACE_ORDER, PLACE_ORDERS = _ORDERS["PlaceOrder"], _ORDERS["PlaceOrders"]
GET_ORDER, LIST_ORDERS = _ORDERS["GetOrder"], _ORDERS["ListOrders"]
IMPORT_PRODUCTS = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].methods_by_name["ImportProducts"]

Answer = TypeVar("Answer")


class Played:
    """Runs the client's calls in threads, and answers them in the test's own."""

    def __init__(self, credentials: Credentials | None = KEY) -> None:
        self.now = NOON
        self._channel = FakeChannel()
        self._ids = iter(f"00000000-0000-4000-8000-{number:012}" for number in range(1, 1000))
        self.client = Backroom(
            "", credentials, channel=self._channel, now=lambda: self.now, new_id=lambda: next(self._ids)
        )

    def start(self, act: Callable[[], Answer]) -> "Future[Answer]":
        """Runs the client's action; the test answers its calls meanwhile."""
        return _in_thread(act)

    def take(self, method: Any) -> tuple[dict[str, Any], Any, Any]:
        """The metadata and the request of the next unary call of the method, and the call, to end it."""
        metadata, request, call = self._next(self._channel.played.take_unary_unary, method)
        call.send_initial_metadata(())
        return dict(metadata), request, call

    def take_stream(self, method: Any) -> tuple[dict[str, Any], Any]:
        """The metadata of the next client-streaming call of the method, and the call, to continue it."""
        both_ways = method.server_streaming
        take = self._channel.played.take_stream_stream if both_ways else self._channel.played.take_stream_unary
        metadata, call = self._next(take, method)
        call.send_initial_metadata(())
        return dict(metadata), call

    def _next(self, take: Callable[[Any], Any], method: Any) -> Any:
        """Waits for a call, with a timeout: a client that makes none must fail the test."""
        return _in_thread(lambda: take(method)).result(5)

    def answer(self, method: Any, response: Message) -> tuple[dict[str, Any], Any]:
        """Answers the next call of the method with OK; returns its metadata and its request."""
        metadata, request, call = self.take(method)
        call.terminate(response, (), grpc.StatusCode.OK, "")
        return metadata, request

    def refuse(self, method: Any, status: status_pb2.Status) -> tuple[dict[str, Any], Any]:
        """Ends the next call of the method with the status."""
        metadata, request, call = self.take(method)
        rich = rpc_status.to_status(status)
        call.terminate(None, rich.trailing_metadata, rich.code, rich.details)
        return metadata, request

    def exchange_key(self, token: str, *, minutes: int = 15) -> None:
        """Answers the next ExchangeKey with a token that is valid this long."""
        response = access_service_pb2.ExchangeKeyResponse(access_token=token)
        response.expire_time.FromDatetime(self.now + timedelta(minutes=minutes))
        self.answer(EXCHANGE_KEY, response)


def _in_thread(act: Callable[[], Answer]) -> "Future[Answer]":
    """Runs the action in a daemon thread, which may wait forever."""
    result: Future[Answer] = Future()

    def run() -> None:
        try:
            result.set_result(act())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            result.set_exception(error)

    Thread(target=run, daemon=True).start()
    return result


def tokens(access: str, refresh: str, now: datetime) -> accounts_pb2.Tokens:
    """The response of Login and Refresh, valid for 15 minutes."""
    made = accounts_pb2.Tokens(access_token=access, refresh_token=refresh)
    made.access_token_expire_time.FromDatetime(now + timedelta(minutes=15))
    return made


def refusal(code: grpc.StatusCode, reason: str, *details: Message, domain: str = "backroom") -> status_pb2.Status:
    """A rich status as Backroom sends it."""
    status = status_pb2.Status(code=code.value[0], message=f"refused: {reason}")
    for detail in (error_details_pb2.ErrorInfo(domain=domain, reason=reason, metadata={"of": "it"}), *details):
        status.details.add().Pack(detail)
    return status


TOKEN_INVALID = refusal(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
CREDENTIALS_INVALID = refusal(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
