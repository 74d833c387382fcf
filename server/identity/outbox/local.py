"""Ways by which a mail stays on this machine: a file each, or a line in the log."""

import asyncio
import os
from pathlib import Path

import structlog

from server.identity.outbox.port import Letter, NotSent, composed


class FileOutbox:
    """Writes each mail into a folder, as a file that nobody else may read: <mail id>.eml, whole or not at all."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        content = composed(letter, self._sender).as_bytes()
        try:
            await asyncio.to_thread(self._write, f"{letter.id}.eml", content)
        except OSError as error:
            raise NotSent(f"the folder of the outbox: {os.strerror(error.errno or 0)}") from None

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        unfinished.replace(self._folder / name)


class LogOutbox:
    """Sends nothing: a line says that there was a mail, and neither to whom nor its content."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger = logger

    async def send(self, letter: Letter) -> None:
        self._logger.info("mail", kind=letter.kind, mail_id=str(letter.id))
