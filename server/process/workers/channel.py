"""What a supervisor and one of its workers have to say to one another."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count

Answer = Callable[[str], Awaitable[str]]
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""In bytes, of one message."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is sent beyond the settings, which it reads by itself."""

    number: int
    """From 1 on."""
    serves: bool
    """Whether it serves; otherwise it does the jobs."""
    grpc_address: str
    http_address: str
    http_socket: int
    """The descriptor that it inherited."""
    metrics_socket: int | None
    """Another one, where the metrics have an address of their own."""
    further_grpc: dict[str, str]
    """Where calls are answered, too, by the settings' names."""
    database_url: str = field(repr=False)
    sandbox: dict[str, str] | None = field(default=None, repr=False)
    """Where the sandbox is, and its secrets."""

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptors that it is to be started with."""
        return (self.http_socket,) if self.metrics_socket is None else (self.http_socket, self.metrics_socket)

    @classmethod
    def read(cls, text: str) -> "Assignment":
        return cls(**json.loads(text))

    def written(self) -> str:
        return json.dumps(asdict(self))


class WorkerChannel:
    """One end of a channel on which either side may send requests, at any time, and as often as it wants: a JSON object
    a line.

    It ends with the process at either end, however that ends: the system closes it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: dict[str, Answer] = {}
        self._numbers = count()
        self._pending: dict[int, asyncio.Future[str]] = {}
        self._ended = False

    @classmethod
    async def open(cls, end: socket.socket) -> "WorkerChannel":
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_MAX_MESSAGE_BYTES))

    def answer(self, what: str, by: Answer) -> None:
        """From here on, the other side's requests of this name are answered by this."""
        self._answers[what] = by

    async def request(self, what: str, about: str = "") -> str:
        """Returns the other side's answer; raises ConnectionError where there is no other side any more."""
        if self._ended:
            raise ConnectionResetError
        number = next(self._numbers)
        self._pending[number] = asyncio.get_running_loop().create_future()
        self._send({"number": number, "what": what, "about": about})
        return await self._pending[number]

    async def run(self) -> None:
        """Reads and answers until the other side is gone."""
        try:
            async with asyncio.TaskGroup() as answering:
                with suppress(ConnectionError):
                    async for line in self._reader:
                        message = json.loads(line)
                        if "what" in message:
                            answering.create_task(self._reply(**message))
                        else:
                            self._settle(**message)
        finally:
            self._end()

    async def _reply(self, number: int, what: str, about: str) -> None:
        self._send({"number": number, "answer": await self._answers[what](about)})

    def _settle(self, number: int, answer: str) -> None:
        pending = self._pending.pop(number)
        if not pending.done():  # the requester may have stopped waiting
            pending.set_result(answer)

    def _send(self, message: dict[str, object]) -> None:
        if not self._ended:
            self._writer.write(json.dumps(message).encode() + b"\n")

    def _end(self) -> None:
        self._ended = True
        self._writer.close()
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(ConnectionResetError())
