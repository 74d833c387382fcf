"""Bodies that are not messages, and hostile messages: each is refused as documented, and nothing leaks."""

from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from server.frame.contract import BODY_BYTES, MAX_LIMIT_BYTES, largest_bodies_of
from server.frame.errors import printable
from server.frame.standard import STANDARD_RULES
from tests.contract.hostile import CANARY, messages, with_nul
from tests.contract.methods import METHODS, SERVICES, Method, sent
from tests.contract.proto_comments import documented
from tests.fixtures.examples import examples
from tests.fixtures.servers import Api, Refused, Running, refusal, refused

_GROUP = (b"\xc3\x3e", b"\xc4\x3e")
"""The start and end of a group of field 1000."""

MALFORMED = {
    "a tag that never ends": b"\xff" * 11,
    "a tag without its value": b"\x08",
    "a length beyond the end": b"\x0a\x7fab",
    "a wire type that does not exist": b"\x0f",
    "a group that never ends": _GROUP[0],
    "a group that never began": _GROUP[1],
    "101 levels deep": _GROUP[0] * 101 + _GROUP[1] * 101,
    "text of another protocol": b"GET / HTTP/1.1\r\n\r\n",
}
ODD = {
    "an unknown field": b"\xfa\x01\x03abc",
    "a string that is no UTF-8": b"\x0a\x02\xc3\x28",
    "a number where a string belongs": b"\x08\x01\x10\x01\x18\x01",
    "field number 0": b"\x02\x00",
    "zeroes": b"\0" * 16,
}


IDENTIFIERS = {"sku", "role", "permission", "event_type", "name", "flag_key", "flag_set_id"}
"""What a refusal may repeat of the request, besides ids: names of things, and never a text or a secret."""


def told(refused_as: Refused) -> str:
    """The text of a refusal without the identifiers and the fields' paths in it, which may hold a map's key; it repeats
    nothing else of the request."""
    message = refused_as.message
    named = [value for name, value in refused_as.metadata.items() if name in IDENTIFIERS]
    for value in (*named, *refused_as.preconditions, *refused_as.fields):
        message = message.replace(printable(value), "")
    others = (value for name, value in refused_as.metadata.items() if name not in IDENTIFIERS)
    return " ".join([message, *refused_as.fields.values(), *refused_as.preconditions.values(), *others])


async def outcome(api: Api, method: Method, body: bytes) -> Refused | None:
    """The refusal of a call, which must be documented; None if it succeeded."""
    found = None
    try:
        await sent(api, method, body)
    except grpc.aio.AioRpcError as error:
        found = refused(error)
    if found is not None:
        assert documented()[str(method)].get(found.reason) == found.code.name, (method, found)
        assert found.reason not in ("INTERNAL", "TOKEN_INVALID"), (method, found)
        assert CANARY not in told(found), (method, found)
    return found


@dataclass
class Admin:
    """A signed-in account, which signs in again after each change, since that may have ended its session."""

    server: Running
    api: Api | None = None

    async def outcome(self, method: Method, body: bytes) -> Refused | None:
        self.api = self.api or await self.server.sign_in("admin")
        found = await outcome(self.api, method, body)
        if found is None and method.changes:
            self.api = None
        return found


@pytest.fixture
def lasting_admin(server: Running) -> Admin:
    return Admin(server)


async def test_a_body_that_cannot_be_parsed_is_malformed(admin: Api) -> None:
    """Every method answers so, whatever is wrong with the body, and never with UNKNOWN."""
    for method in METHODS:
        for kind, body in MALFORMED.items():
            found = await outcome(admin, method, body)
            assert found is not None, (method, kind)
            assert found.code is grpc.StatusCode.INVALID_ARGUMENT, (method, kind)
            assert found.reason == "BODY_MALFORMED", (method, kind)


async def test_an_odd_body_is_answered_as_documented(lasting_admin: Admin) -> None:
    """Every method gives a documented answer to unknown fields, wrong types and broken text."""
    for method in METHODS:
        for body in ODD.values():
            await lasting_admin.outcome(method, body)


async def test_no_text_holds_a_nul(admin: Api) -> None:
    """PostgreSQL's text cannot hold a NUL: every method refuses one, and names the field or the message around it."""
    for method in METHODS:
        for path, message in with_nul(method.takes):
            found = await outcome(admin, method, message.SerializeToString())
            assert found is not None, (method, path)
            assert found.reason == "FIELD_INVALID", (method, path)
            assert any(path.startswith(named) for named in found.fields), (method, path, found.fields)


def padded(size: int) -> bytes:
    """A body of this many bytes, which is one unknown field."""
    length = size - 6
    varint = bytes((length >> shift & 0x7F) | (0x80 if shift < 21 else 0) for shift in (0, 7, 14, 21))
    return b"\xfa\x01" + varint + bytes(length)


async def test_a_message_at_the_limit_is_accepted(admin: Api) -> None:
    """It is 16 KiB unless the contract says otherwise."""
    method = next(method for method in METHODS if method.name == "GetMe")
    assert await outcome(admin, method, padded(BODY_BYTES)) is None


async def test_a_message_above_the_limit_is_refused_with_the_limit(admin: Api) -> None:
    """Every method refuses a message one byte above its limit, and the refusal states the limit."""
    limits = largest_bodies_of(SERVICES)
    for method in METHODS:
        found = await outcome(admin, method, padded(limits[method.path] + 1))
        assert found is not None, method
        assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED, method
        assert found.reason == "MESSAGE_TOO_LARGE", method
        assert found.metadata["limit_bytes"] == str(limits[method.path]), method
        assert found.metadata["size_bytes"] == str(limits[method.path] + 1), method


async def test_the_standard_services_take_no_more_than_others(server: Running) -> None:
    """Otherwise the name of a service to watch could be as large as the transport allows."""
    for path in STANDARD_RULES:
        found = await refusal(sent(server.anonymous, path, padded(BODY_BYTES + 1)))
        assert (found.reason, found.metadata["limit_bytes"]) == ("MESSAGE_TOO_LARGE", str(BODY_BYTES)), path


async def test_a_message_above_the_transports_limit_is_refused_too(admin: Api) -> None:
    """gRPC itself refuses it, unread and without a reason."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sent(admin, METHODS[0], bytes(3 * MAX_LIMIT_BYTES))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=str)
async def test_a_compressed_message_is_not_read(server: Running, compression: grpc.Compression) -> None:
    """gRPC itself answers UNIMPLEMENTED, as its specification requires, and nothing is decompressed."""
    check: Any = server.channel.unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await check(padded(BODY_BYTES), compression=compression, timeout=30)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "is disabled" in (raised.value.details() or "")


@pytest.mark.parametrize("method", METHODS, ids=str)
@examples(10, suppress=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_message_breaks_a_method_or_leaks(
    server: Running, lasting_admin: Admin, caplog: pytest.LogCaptureFixture, method: Method, data: st.DataObject
) -> None:
    """Whatever a message holds, the answer is never UNKNOWN or INTERNAL, and nothing of it is logged or returned."""
    message: Message = data.draw(messages(method.takes))
    await lasting_admin.outcome(method, message.SerializeToString())
    assert CANARY not in repr(server.log) + caplog.text
    assert not [line for line in server.log if "fault" in line]


async def test_the_canary_is_in_what_is_sent(admin: Api) -> None:
    """Proves that the check above can fail: a refusal's metadata, which may name an id, holds the payload."""
    ask = next(method for method in METHODS if method.name == "GetProduct")
    found = await refusal(sent(admin, ask, ask.request(sku=f"no {CANARY}").SerializeToString()))
    assert CANARY in repr(found.metadata)
