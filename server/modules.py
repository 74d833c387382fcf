"""The modules there are: the one list of them."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from server.frame.settings import DeclaredSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.frame.module import Manifest
    from server.frame.permissions import Permission

MODULES = (
    "identity",
    "commerce",
    "webhooks",
    "flags",
    "bookings",
    "tasks",
    "articles",
    "events",
    "files",
)
"""By their folders in `server/`; in each, `module.py` has the manifest, and `settings.py`, where there is one, a
class by the module's name, such as CommerceSettings."""


def manifest(name: str) -> "Manifest":
    """What a module brings; all of its code is imported for it, and not before: who reads settings needs none."""
    found: Manifest = import_module(f"server.{name}.module").MANIFEST
    return found


def settings_class(name: str) -> type[DeclaredSettings]:
    """What a module declares of its settings; none where it has no `settings.py`. Its other code is not imported."""
    if find_spec(f"server.{name}.settings") is None:
        return DeclaredSettings
    found: type[DeclaredSettings] = getattr(import_module(f"server.{name}.settings"), f"{name.capitalize()}Settings")
    return found


def permissions() -> "Sequence[Permission]":
    """Of all modules."""
    return [permission for name in MODULES for permission in manifest(name).permissions]
