"""grpcio-testing's fake channel, adapted to interceptors."""

from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import grpc_testing  # type: ignore[import-untyped]  # it comes without types

from backroom_client.contract import SERVICES


class FakeChannel(grpc.Channel):
    """A channel for which the test plays the server, through `played`.

    Interceptors pass wait_for_ready and compression on, which grpcio-testing's own channel does not accept.
    """

    def __init__(self) -> None:
        self.played = grpc_testing.channel(SERVICES, grpc_testing.strict_real_time())

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return Method(self.played.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return Method(self.played.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return Method(self.played.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return Method(self.played.stream_stream(*args, **kwargs))

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        raise NotImplementedError

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.played.close()


class Method:
    """A method of the fake channel; it drops call arguments that it does not know."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(*args, **_known(kwargs))

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._method.with_call(*args, **_known(kwargs))
        except grpc.RpcError as error:
            raise FailedCall(error) from None


class FailedCall(grpc.RpcError):
    """A failed call is a completed future, as interceptors expect; grpcio-testing's is not."""

    def __init__(self, error: grpc.RpcError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code()

    def details(self) -> str | None:
        return self._error.details()

    def trailing_metadata(self) -> Any:
        return self._error.trailing_metadata()

    def done(self) -> bool:
        return True

    def exception(self) -> grpc.RpcError:
        return self

    def result(self) -> NoReturn:
        raise self


def _known(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in {"wait_for_ready", "compression"}}
