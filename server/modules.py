"""The modules there are: the one list of them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.frame.module import Manifest

MODULES = (
    "identity",
    "commerce",
    "webhooks",
)
"""By their folders in `server/`; in each, `module.py` holds the manifest."""


def manifest(name: str) -> "Manifest":
    """What a module brings; all of its code is imported for it, and not before: who reads settings needs none."""
    found: Manifest = import_module(f"server.{name}.module").MANIFEST
    return found
