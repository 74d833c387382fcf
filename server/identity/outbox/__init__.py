"""Where mails go out: a port, and an adapter for each way."""

from server.identity.outbox.port import Letter, NeverSent, NotSent, Outbox

__all__ = ["Letter", "NeverSent", "NotSent", "Outbox"]
