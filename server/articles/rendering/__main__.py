"""A process that works on texts until its input ends: `python -m server.articles.rendering`."""

from typing import Any

import orjson

from server.articles.rendering.comparing import compared
from server.articles.rendering.markdown import rendered
from server.articles.rendering.work import CPU_SECONDS, MAX_HTML_BYTES, MAX_MEMORY_BYTES
from server.frame.child_process import OutOfTime, answer_requests, bounded


def _answered(request: bytes) -> bytes:
    return orjson.dumps(_found(orjson.loads(request)))


def _found(request: Any) -> dict[str, Any]:
    try:
        with bounded(CPU_SECONDS[request["kind"]]):
            return _done(request)
    except (OutOfTime, MemoryError, RecursionError) as error:
        return {"failed": type(error).__name__}


def _done(request: Any) -> dict[str, Any]:
    if request["kind"] == "compare":
        return {"hunks": compared(request["before"], request["after"])}
    html, plain = rendered(request["content"])
    if len(html.encode()) > MAX_HTML_BYTES:
        return {"failed": "too large"}
    return {"html": html, "plain": plain}


if __name__ == "__main__":
    answer_requests(_answered, max_memory_bytes=MAX_MEMORY_BYTES)
