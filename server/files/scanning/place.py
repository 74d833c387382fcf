"""Where the scanner is, as the setting says it."""

from dataclasses import dataclass

from server.frame.settings import Address

NONE = "none"
_CLAMD = "clamd:"


@dataclass(frozen=True, slots=True)
class ClamdPlace:
    """Where clamd listens: at a socket's path, or at an address."""

    path: str = ""
    address: Address | None = None


def clamd_place(setting: str) -> ClamdPlace:
    """Raises ValueError where a setting names no clamd."""
    kind, place = setting[: len(_CLAMD)], setting[len(_CLAMD) :]
    if kind == _CLAMD and place.startswith("/"):
        return ClamdPlace(path=place)
    if kind == _CLAMD:
        try:
            return ClamdPlace(address=Address(place))
        except ValueError:
            pass
    raise ValueError("must be none, clamd:/run/clamav/clamd.ctl or clamd:127.0.0.1:3310")


def checked_scanner(setting: str) -> str:
    """A setting that names a scanner, or nothing; raises ValueError, since no misspelling may turn scanning off."""
    if setting not in ("", NONE):
        clamd_place(setting)
    return setting
