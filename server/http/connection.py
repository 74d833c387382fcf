"""One connection of the HTTP side, which ends by itself when its caller does not do its part."""

import asyncio

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

REQUEST_WITHIN = 10.0
"""In seconds: how long a whole request may take to arrive, its headers and its body."""
_ANSWERED_WITHIN = 30.0
"""In seconds: how long its answer may take, with the time that the caller takes to read it."""


class Connection(H11Protocol):
    """uvicorn waits for a request as long as single bytes of it keep coming; here its whole time is bounded.

    The first request's time counts from the connection on, a further one's from its first byte.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        awaited: dict["Connection", None],
        *,
        request_within: float = REQUEST_WITHIN,
    ) -> None:
        """In `awaited` stand the connections that owe their request, the longest-standing first."""
        super().__init__(config, state, {})
        self._awaited = awaited
        self._request_within = request_within
        self._begun = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._await_request()
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._begun = self.conn.trailing_data[0] != b""
        if self not in self._awaited:  # its body may still be on its way, unread
            self._await_request()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self._awaited.pop(self, None)
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Ends the connection at once, whatever is still to be sent."""
        self.transport.abort()

    def _look(self) -> None:
        """Once the request is there, it is the answer's turn."""
        if self in self._awaited and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            del self._awaited[self]
            self._set_timer(_ANSWERED_WITHIN)

    def _await_request(self) -> None:
        self._awaited.pop(self, None)
        self._awaited[self] = None
        self._set_timer(self._request_within)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.give_up)
