"""Metadata is bounded here as well as by gRPC, whose own bound counts only once the peer has acknowledged it."""

from typing import Any

from server.frame.call import MAX_METADATA_BYTES, Call
from server.frame.errors import MetadataTooLarge
from server.frame.interceptors.base import Behavior, Method


class MetadataLimit:
    """Refuses a call with more metadata than that, of which nothing was kept."""

    def around(self, _method: Method, proceed: Behavior) -> Behavior:
        async def bounded(request: Any, call: Call) -> Any:
            if not call.metadata_fits:
                raise MetadataTooLarge(limit_bytes=str(MAX_METADATA_BYTES))
            return await proceed(request, call)

        return bounded
