"""The use cases of webhooks; each public method is one transaction."""

from server.webhooks.service.inbox import Inbox

__all__ = ["Inbox"]
