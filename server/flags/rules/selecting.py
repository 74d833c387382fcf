"""Which flag set a client means: flagd's clients name it by a selector."""

from server.flags.errors import SelectorInvalid

SELECTOR = "flagd-selector"
"""The metadata key, or the header, that it comes in."""
_FLAG_SET_ID = "flagSetId="


def selected(selector: str) -> str:
    """The flag set's id; empty for the set without one. Raises SelectorInvalid."""
    if not selector:
        return ""
    if not selector.startswith(_FLAG_SET_ID):
        raise SelectorInvalid
    return selector.removeprefix(_FLAG_SET_ID)
