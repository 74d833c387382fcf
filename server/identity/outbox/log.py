import structlog

from server.identity.outbox.port import Letter


class LogOutbox:
    """Sends nothing: a line says that there was a mail, and neither to whom nor what it held."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger = logger

    async def send(self, letter: Letter) -> None:
        self._logger.info("mail", kind=letter.kind, mail_id=str(letter.id))
