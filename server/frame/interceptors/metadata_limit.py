"""Metadata is bounded here as well as by gRPC, whose own bound counts only once the peer has acknowledged it."""

from typing import Any

from server.frame.call import MOST_METADATA, Call
from server.frame.errors import MetadataTooLarge
from server.frame.interceptors.base import Behaviour, Method


class MetadataLimit:
    """Refuses a call with more metadata than that, of which nothing was kept."""

    def around(self, _method: Method, proceed: Behaviour) -> Behaviour:
        async def bounded(request: Any, call: Call) -> Any:
            if not call.metadata_fits:
                raise MetadataTooLarge(limit_bytes=str(MOST_METADATA))
            return await proceed(request, call)

        return bounded
