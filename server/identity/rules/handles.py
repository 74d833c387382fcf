"""What an account may be called."""

from server.identity.errors import HandleReserved, TooManyHandles

MAX_HANDLES = 5
"""Of one account, those that it had before included: they stay its own, and are not to be collected."""

_RESERVED = frozenset(
    {
        *("abuse", "account", "accounts", "admin", "administrator", "admins", "all", "anonymous", "api", "audit"),
        *("backroom", "billing", "bot", "ceo", "contact", "deleted", "editor", "editors", "everybody", "everyone"),
        *("guest", "help", "helpdesk", "here", "hostmaster", "info", "internal", "legal", "login", "logout", "mail"),
        *("mailerdaemon", "manager", "marketing", "mod", "moderator", "moderators", "myself", "nobody", "noreply"),
        *("null", "office", "official", "operator", "owner", "payment", "payments", "postmaster", "press", "privacy"),
        *("public", "register", "root", "sales", "security", "self", "service", "settings", "signin", "signup"),
        *("staff", "status", "sudo", "superuser", "support", "sysadmin", "system", "team", "test", "undefined"),
        *("unknown", "user", "users", "verified", "webhook", "webmaster", "www"),
    }
)
"""What would be taken for the service itself, for whoever runs it, or for nobody."""


_LOOK_ALIKE = (str.maketrans("01", "oi"), str.maketrans("01", "ol"))


def normal_handle(handle: str) -> str:
    """The one form that a handle is known by: the contract allows ASCII alone, so that no two look alike by script."""
    return handle.lower()


def require_free_to_choose(handle: str) -> None:
    """Raises HandleReserved; dashes, and digits that look like letters, do not make another word of a reserved one."""
    plain = handle.replace("-", "")
    if not _RESERVED.isdisjoint({plain, *(plain.translate(digits) for digits in _LOOK_ALIKE)}):
        raise HandleReserved


def require_room(count: int) -> None:
    """Raises TooManyHandles where an account has so many handles with the new one."""
    if count > MAX_HANDLES:
        raise TooManyHandles(most=str(MAX_HANDLES))
