"""OFREP 0.3.0, the OpenFeature Remote Evaluation Protocol, on the HTTP side."""

from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from server.flags.ofrep.access import OfrepAccess
from server.flags.ofrep.evaluating import EVENTS, Endpoint, Ofrep
from server.flags.ofrep.event_stream import EventStreams
from server.flags.ofrep.stream_urls import StreamUrls
from server.flags.rules.selecting import SELECTOR
from server.flags.service.counting import Counting
from server.flags.service.following import CurrentFlags
from server.flags.settings import FlagsSettings
from server.frame.http import API_KEY_HEADER, HttpCallers, for_origins
from server.frame.module import Shared

EVALUATE = "/ofrep/v1/evaluate/flags"


def ofrep_routes(
    shared: Shared, settings: FlagsSettings, flags: CurrentFlags, counting: Counting
) -> Sequence[BaseRoute]:
    """What answers OFREP."""
    callers = HttpCallers(shared.authentication, shared.trusted_proxies)
    rate = settings.ofrep_calls_per_second
    access = OfrepAccess(shared.authentication, callers, settings.flags_open_to, rate)
    urls = StreamUrls(shared.master_keys)
    ofrep = Ofrep(flags, access, urls, counting, shared.registry, shared.logger, shared.now)
    streams = EventStreams(flags, access, urls, shared.registry, shared.logger, shared.now)
    cors = for_origins(
        settings.flags_cors_origins,
        methods=["GET", "POST"],
        takes=["authorization", "content-type", "if-none-match", SELECTOR, API_KEY_HEADER, "x-request-id"],
        shows=["etag", "retry-after", "x-request-id"],
    )
    answered: Mapping[str, ASGIApp] = {
        EVENTS: streams,
        EVALUATE: Endpoint(ofrep, ofrep.bulk),
        # A key may hold a slash.
        EVALUATE + "/{key:path}": Endpoint(ofrep, ofrep.single),
    }
    return [Route(path, app, middleware=[cors]) for path, app in answered.items()]
