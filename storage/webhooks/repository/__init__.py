"""The only code that touches webhooks' tables."""

from storage.webhooks.repository.received import ReceivedRepository

__all__ = ["ReceivedRepository"]
