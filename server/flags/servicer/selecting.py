"""Which flag set a client of flagd's asks for."""

from server.flags.errors import SelectorInvalid
from server.frame.call import Call

_HEADER = "flagd-selector"
_SET = "flagSetId="


def flag_set_of(call: Call, fallback: str = "") -> str:
    """By the metadata, or else by the selector in the body; the set "" where neither names one.

    Raises SelectorInvalid.
    """
    selector = call.metadata.get(_HEADER) or fallback
    if not selector:
        return ""
    if not isinstance(selector, str) or not selector.startswith(_SET):
        raise SelectorInvalid
    return selector.removeprefix(_SET)
