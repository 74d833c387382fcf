"""Page tokens that a caller forges: for the right list, with made-up sort keys."""

from collections.abc import Iterator, Sequence
from itertools import product
from uuid import uuid4

import pytest
from google.protobuf.message import Message

from backroom.common.v1 import page_pb2
from server.frame import base64url
from server.frame.paging import page_of
from tests.contract.hostile import SOLD, filled
from tests.contract.methods import LISTS, Method
from tests.contract.test_garbage import outcome
from tests.fixtures.servers import Running

_KEYS = (
    *("", "0", "-1", "1_0", " 1 ", "9" * 30, "9223372036854775807", "9223372036854775808", "\N{FULLWIDTH DIGIT ONE}2"),
    *("2020-01-01", "2020-01-01T00:00:00", "2020-W01-1", "20200101T000000Z", "2020-01-01T00:00:00+00:00:00.000001"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "nan", "\\u0000", "\N{PILE OF POO}", "%", "'"),
    *(str(uuid4()), f"{{{uuid4()}}}", f"urn:uuid:{uuid4()}"),
)
_SECONDS = (str(uuid4()), "1", "-1", "9" * 19, "z")
_READ_FIRSTS = ("TEA", "0", "2020-01-01T00:00:00+00:00", str(uuid4()))
"""One of each type that a list accepts: after it, any second part is read."""
_TIMES = ("start_time", "end_time", "from_time", "to_time")


def requests(method: Method) -> Iterator[Message]:
    """The simplest request of a list, and one bounded by times on both sides, if it has any."""
    plain = filled(method.takes, **({"sku": SOLD} if "sku" in method.takes.fields_by_name else {}))
    yield plain
    times = [name for name in _TIMES if name in method.takes.fields_by_name]
    if times:  # a separate request, since the first one already has a token
        bounded = type(plain)()
        bounded.CopyFrom(plain)
        bounded.ClearField("page_token")
        for name in times:
            getattr(bounded, name).seconds = 1_600_000_000
        yield bounded


def sort_keys() -> Iterator[Sequence[str]]:
    yield from ([key] for key in _KEYS)
    yield from map(list, product(_KEYS, _SECONDS[:2]))
    yield from map(list, product(_READ_FIRSTS, _SECONDS))
    yield from map(list, product("01", _KEYS))


@pytest.mark.parametrize("method", LISTS, ids=str)
async def test_a_forged_sort_key_is_read_or_refused(server: Running, method: Method) -> None:
    """Tokens are not signed: with any key in one, the list continues after it or refuses the token."""
    admin = await server.sign_in("admin")
    for request in requests(method):
        digest = page_of(request).list_digest
        for key in sort_keys():
            token = page_pb2.PageToken(list_digest=digest, after=key)
            request.page_token = base64url.encoded(token.SerializeToString())  # type: ignore[attr-defined]
            found = await outcome(admin, method, request.SerializeToString())
            # What the list is of, such as the account whose keys are listed, is looked up once the token is read.
            refused = found is None or found.reason == "PAGE_TOKEN_INVALID" or found.reason.endswith("_NOT_FOUND")
            assert refused, (key, found)
