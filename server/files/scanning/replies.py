"""What clamd's replies mean. Only one of them says that a content is clean."""

import re

from server.files.scanning import ScannerUnavailable
from storage.files.records import Outcome

CLEAN = "stream: OK"
_FOUND = re.compile(r"stream: (.*) FOUND")
_LIMITS = re.compile(r"Heuristics\.(?:Limits\.Exceeded|Encrypted)\b.*")
"""What ClamAV "finds" where it could not look: a limit of its own, or an encrypted archive or document."""
_SIZE_LIMIT = re.compile(r"(?:INSTREAM|stream:?)?\s*size limit (?:exceeded|reached).*", re.IGNORECASE)
_LONGEST_SHOWN = 200


def outcome_of(reply: str) -> tuple[Outcome, str]:
    """What a reply to INSTREAM says, and its detail; raises ScannerUnavailable where it says nothing of the content."""
    if reply == CLEAN:
        return Outcome.CLEAN, ""
    if found := _FOUND.fullmatch(reply):
        name = found[1].strip()
        if not name or name == "(null)":
            return Outcome.UNSCANNABLE, "the scanner found something that it does not name"
        if _LIMITS.fullmatch(name):
            return Outcome.UNSCANNABLE, f"the scanner could not look at all of it: {name}"[:_LONGEST_SHOWN]
        return Outcome.INFECTED, name[:_LONGEST_SHOWN]
    if _SIZE_LIMIT.fullmatch(reply):
        return Outcome.UNSCANNABLE, "it is larger than the scanner takes"
    raise ScannerUnavailable(f"clamd said {reply[:_LONGEST_SHOWN]!r}")
