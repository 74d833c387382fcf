"""Flags as callers keep them, for tests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct, Value

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flag_set_service_pb2, flag_sets_pb2, flags_pb2, proposals_pb2
from storage.database import Database
from tests.fixtures.servers import Api, Running, running

ON = flags_pb2.FLAG_STATE_ENABLED
OFF = flags_pb2.FLAG_STATE_DISABLED


def struct(**values: Any) -> Struct:
    return ParseDict(values, Struct())


def value(given: Any) -> Value:
    return ParseDict(given, Value())


def drafted(key: str, variants: Mapping[str, Any] | None = None, targeting: Any = None, **rest: Any) -> flags_pb2.Flag:
    """A flag as a caller describes it; on and off where nothing else is said."""
    values: Mapping[str, Any] = {"on": True, "off": False} if variants is None else variants
    given: dict[str, Any] = {"variants": {name: value(each) for name, each in values.items()}}
    given |= {"default_variant": next(reversed(list(values)), "")}
    if targeting is not None:
        given["targeting"] = struct(**targeting)
    return flags_pb2.Flag(key=key, **{**given, **rest})


async def created(api: Api, key: str, *args: Any, **rest: Any) -> flags_pb2.Flag:
    request = pb.CreateFlagRequest(request_id=str(uuid4()), flag=drafted(key, *args, **rest))
    flag: flags_pb2.Flag = (await api.flags.CreateFlag(request)).flag
    return flag


async def got(api: Api, key: str, flag_set_id: str = "") -> flags_pb2.Flag:
    flag: flags_pb2.Flag = (await api.flags.GetFlag(pb.GetFlagRequest(key=key, flag_set_id=flag_set_id))).flag
    return flag


def editing(key: str, *mask: str, etag: str = "", **values: Any) -> pb.UpdateFlagRequest:
    request = pb.UpdateFlagRequest(request_id=str(uuid4()), flag=flags_pb2.Flag(key=key, etag=etag, **values))
    request.update_mask.paths.extend(mask)
    return request


def rollout(**percents: float) -> flags_pb2.Rollout:
    return flags_pb2.Rollout(
        shares=[flags_pb2.Share(variant=name, percent=percent) for name, percent in percents.items()]
    )


def rolling(key: str, **percents: float) -> pb.SetRolloutRequest:
    return pb.SetRolloutRequest(request_id=str(uuid4()), key=key, rollout=rollout(**percents))


def step(seconds: float, percent: float = 50.0) -> flags_pb2.ScheduleStep:
    """A share of `on`, so many seconds from now."""
    made = flags_pb2.ScheduleStep(rollout=rollout(on=percent))
    made.time.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return made


def scheduling(key: str, *seconds: float) -> pb.ScheduleFlagChangeRequest:
    steps = [step(each, 10.0 * (place + 1)) for place, each in enumerate(seconds)]
    schedule = flags_pb2.FlagSchedule(flag_key=key, steps=steps, comment="step by step")
    return pb.ScheduleFlagChangeRequest(request_id=str(uuid4()), schedule=schedule)


async def versions(api: Api, key: str) -> list[flags_pb2.FlagVersion]:
    """All of a flag, latest first."""
    return list((await api.flags.ListFlagVersions(pb.ListFlagVersionsRequest(key=key, page_size=1000))).versions)


async def segment(api: Api, name: str, rule: Any, **rest: Any) -> flag_sets_pb2.Segment:
    given = flag_sets_pb2.Segment(name=name, rule=value(rule), **rest)
    request = flag_set_service_pb2.CreateSegmentRequest(request_id=str(uuid4()), segment=given)
    made: flag_sets_pb2.Segment = (await api.flag_sets.CreateSegment(request)).segment
    return made


async def explained(api: Api, key: str, **context: Any) -> pb.ExplainFlagResponse:
    answer: pb.ExplainFlagResponse = await api.flags.ExplainFlag(
        pb.ExplainFlagRequest(key=key, context=struct(**context))
    )
    return answer


async def exported(api: Api, flag_set_id: str = "", *, with_details: bool = False) -> Any:
    """A flag set as flagd's JSON, read."""
    request = pb.ExportFlagsRequest(flag_set_id=flag_set_id, with_details=with_details)
    pieces = [piece.flag_configuration async for piece in api.flags.ExportFlags(request)]
    return orjson.loads("".join(pieces))


def importing(document: Any, *, pieces: int = 1, **first: Any) -> list[pb.ImportFlagsRequest]:
    """The messages of an import, with the JSON in so many pieces."""
    text = document if isinstance(document, str) else orjson.dumps(document).decode()
    size = max(1, -(-len(text) // pieces))
    parts = [text[start : start + size] for start in range(0, len(text), size)] or [""]
    head = pb.ImportFlagsRequest(request_id=str(uuid4()), **first)
    head.flag_configuration = parts[0]
    return [head, *(pb.ImportFlagsRequest(flag_configuration=part) for part in parts[1:])]


async def imported(api: Api, document: Any, **how: Any) -> pb.ImportFlagsResponse:
    answer: pb.ImportFlagsResponse = await api.flags.ImportFlags(iter(importing(document, **how)))
    return answer


def as_plain(message: Any) -> Any:
    return MessageToDict(message)


@asynccontextmanager
async def with_approval(database: Database) -> AsyncIterator[tuple[Running, Api, Api]]:
    """A server where changes need two pairs of eyes, and two who may propose and approve."""
    async with running(database, flags_approval=True) as server:
        yield server, await server.sign_in("admin"), await server.sign_in("admin")


PENDING = proposals_pb2.PROPOSAL_STATE_PENDING
