"""The composition root: every object is built here, by hand, top to bottom; a file a module, `application` over all."""

from server.wiring.application import Application
from server.wiring.commerce import Trade
from server.wiring.identity import Identity, Mail, build_identity
from server.wiring.parts import now

__all__ = ["Application", "Identity", "Mail", "Trade", "build_identity", "now"]
