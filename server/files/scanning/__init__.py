"""The scanner port: what looks into the bytes of files, and tells from them what they are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

from storage.files.records import Outcome, Verdict

_BEFORE = " was found before; now "


class ScannerUnavailable(Exception):
    """The scanner does not respond, or broke off: nothing is known of the content, and it waits."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a scan of one content found."""

    outcome: Outcome
    detail: str = ""
    """The name of what was found, or why the scanner cannot tell."""
    content_type: str = ""
    """Told from the content; empty where nobody looked."""


def standing(before: Verdict | None, found: Findings) -> Findings:
    """What counts after a scan: what was found in a content stays found until a scan calls the content clean.

    Otherwise it would be served once a limit is lowered, or the scanner is switched off.
    """
    if before is None or before.outcome is not Outcome.INFECTED or found.outcome is not Outcome.UNSCANNABLE:
        return found
    name = before.detail.partition(_BEFORE)[0]
    return replace(found, outcome=Outcome.INFECTED, detail=f"{name}{_BEFORE}{found.detail}")


class Scanner(Protocol):
    """Scans contents; one that fails is asked again later, and nothing is served meanwhile."""

    @property
    def name(self) -> str:
        """Who scans, such as "clamav"; "none" where nothing is scanned."""
        ...

    async def signatures(self) -> str:
        """Which version and signatures it has by now; contents scanned with others are scanned again.

        Raises ScannerUnavailable.
        """
        ...

    async def scan(self, size_bytes: int, content: AsyncIterator[bytes]) -> Findings:
        """What is found in so many bytes; `content` need not be read to its end. Raises ScannerUnavailable."""
        ...
