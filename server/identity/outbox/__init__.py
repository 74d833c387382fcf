"""Where mails go out: a port, and an adapter for each way."""

from server.identity.outbox.port import Letter, NotSent, Outbox

__all__ = ["Letter", "NotSent", "Outbox"]
