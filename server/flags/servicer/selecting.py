"""Which flag set a client of flagd's asks for."""

from server.flags.errors import SelectorInvalid
from server.flags.rules.selecting import SELECTOR, selected
from server.frame.call import Call


def flag_set_of(call: Call, fallback: str = "") -> str:
    """By the metadata, or else by the selector in the body; the set "" where neither names one.

    Raises SelectorInvalid.
    """
    selector = call.metadata.get(SELECTOR) or fallback
    if not isinstance(selector, str):
        raise SelectorInvalid
    return selected(selector)
