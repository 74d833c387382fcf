"""What a module lets an account do that has the permission."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """Required by methods of the contract, or within one."""

    name: str
    """Such as "orders.place"."""
    description: str
    """What it lets an account do, in one sentence."""
    roles: tuple[str, ...]
    """The built-in roles that grant it; custom roles may grant any."""
