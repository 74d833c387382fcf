"""What is asked of a process that works on texts, and how: one JSON document at a time, each after its length."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from server.articles.rendering.comparing import Hunk, replaced

RENDER_CPU_SECONDS = 2.0
COMPARE_CPU_SECONDS = 1.0
MAX_HTML_BYTES = 1024 * 1024
MAX_MEMORY_BYTES = 512 * 1024 * 1024
"""Of addresses."""


class TooCostly(Exception):
    """A text takes too long to be rendered, or becomes too large."""


@dataclass(frozen=True, slots=True)
class Rendered:
    html: str
    plain: str


def render_request(content: str) -> bytes:
    return orjson.dumps({"kind": "render", "content": content})


def render_answer(answer: bytes | None) -> Rendered:
    """Raises TooCostly where there is no answer, or none that is small enough."""
    found = orjson.loads(answer) if answer else {"failed": "killed"}
    if "failed" in found:
        raise TooCostly
    return Rendered(found["html"], found["plain"])


def compare_request(before: str, after: str) -> bytes:
    return orjson.dumps({"kind": "compare", "before": before, "after": after})


def compare_answer(answer: bytes | None, before: str, after: str) -> list[Hunk]:
    """All lines as replaced where there is no answer."""
    found: Any = orjson.loads(answer) if answer else {"failed": "killed"}
    if "failed" in found:
        return list(replaced(before, after))
    return [(old, new, [(kind, text) for kind, text in lines]) for old, new, lines in found["hunks"]]


Kind = Literal["render", "compare"]
CPU_SECONDS: dict[Kind, float] = {"render": RENDER_CPU_SECONDS, "compare": COMPARE_CPU_SECONDS}
