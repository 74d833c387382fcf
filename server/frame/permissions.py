"""What a module lets an account do, where it holds the permission."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """Asked for by methods of the contract, or within one."""

    name: str
    """Such as "orders.place"."""
    description: str
    """What it lets an account do, in one sentence."""
    roles: tuple[str, ...]
    """The built-in roles that hold it; roles that are made may hold any."""
