"""The calls under way on one connection, and those that wait."""

from collections import deque

from load import frames
from load.calls import Call, NotSent
from load.frames import ErrorCode
from load.sending import Sender
from load.statuses import Failed


class UnderWay:
    """Starts calls, as many concurrently as the peer allows, and ends them."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._calls: dict[int, Call] = {}
        self._waiting: deque[tuple[Call, bytes, bytes | None]] = deque()
        self._most = frames.MAX_WINDOW
        self._next = 1
        self.ending: ConnectionError | None = None
        """Why no further call can start; None while they can."""

    @property
    def idle(self) -> bool:
        return not self._calls and not self._waiting

    def begin(self, call: Call, block: bytes, payload: bytes | None) -> None:
        """Sends a call with its whole request, or with None starts a stream; raises NotSent."""
        if self.ending is not None:
            raise NotSent(str(self.ending))
        if len(self._calls) >= self._most:
            self._waiting.append((call, block, payload))
        else:
            self._start(call, block, payload)

    def say(self, number: int, payload: bytes, *, ends: bool) -> None:
        """Sends a part of a stream."""
        self._sender.data(number, payload, ends=ends)

    def find(self, number: int) -> Call | None:
        return self._calls.get(number)

    def end(self, number: int, error: Exception | None) -> None:
        """Ends a call; None means success."""
        call = self._calls.pop(number, None)
        if call is None:
            return
        if self._sender.forget(number):
            # It was answered before all of it was sent, so the rest will not be read.
            self._sender.write(frames.rst_stream(number, ErrorCode.CANCEL))
        call.end(error)
        if self._waiting:
            self._start_waiting()

    def cancel(self, number: int, error: Exception | None = None) -> None:
        """Cancels a call on both sides, with this error for its caller."""
        self._sender.forget(number)
        self._sender.write(frames.rst_stream(number, ErrorCode.CANCEL))
        self.end(number, error or Failed("CANCELLED", "the caller gave up"))

    def check_timeouts(self, now: float) -> None:
        """Ends the calls that have timed out or whose callers have gone."""
        for number, call in list(self._calls.items()):
            if call.given_up or call.ends_at <= now:
                self.cancel(number, Failed("DEADLINE_EXCEEDED", "not answered in time"))
        for waiting in [waiting for waiting in self._waiting if waiting[0].ends_at <= now]:
            self._waiting.remove(waiting)
            waiting[0].end(NotSent("it could not begin in time"))

    def limit(self, most: int) -> None:
        """Sets the peer's limit of concurrent calls."""
        self._most = most
        self._start_waiting()

    def leave(self, last: int, why: ConnectionError) -> None:
        """Keeps the calls up to this one, which the peer still processes, and ends the others."""
        self.ending = self.ending or why
        for number in [number for number in self._calls if number > last]:
            self._sender.forget(number)
            self._calls.pop(number).end(NotSent(str(why)))
        while self._waiting:
            self._waiting.popleft()[0].end(NotSent(str(why)))

    def break_off(self, why: ConnectionError) -> None:
        """Ends all calls: the connection is closed."""
        self.leave(frames.MAX_WINDOW, why)
        while self._calls:
            self._calls.popitem()[1].end(type(why)(str(why)))

    def _start(self, call: Call, block: bytes, payload: bytes | None) -> None:
        number = self._next
        self._next = number + 2
        if self._next > frames.MAX_WINDOW:
            self.ending = ConnectionError("the connection has used up the numbers of its calls")
        self._calls[number] = call
        self._sender.write(frames.headers(number, block))
        if payload is None:
            self._sender.begin(number)
        else:
            self._sender.data(number, payload, ends=True)
        call.begin(number)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._calls) < self._most and self.ending is None:
            call, block, payload = self._waiting.popleft()
            if not call.given_up:
                self._start(call, block, payload)
