"""Pages of a list."""

import base64
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.commerce.v1 import catalog_service_pb2
from backroom.common.v1 import page_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2
from server.frame.errors import PageTokenInvalid
from server.frame.paging import (
    BY_TIME,
    DEFAULT_SIZE,
    MAX_PAGE_BYTES,
    MAXIMUM_SIZE,
    Page,
    SortOrder,
    by_column,
    by_columns,
    key_sequence,
    key_time,
    page_by,
    page_of,
)
from tests.fixtures.examples import examples

Item = tuple[int, str]


def itself(item: Any) -> Any:
    return item


ITSELF: SortOrder[Item] = by_columns(itself, int, str)
"""The order of items that are their own sort keys."""


def request(size: int = 2, token: str = "", role: str = "") -> access_service_pb2.ListUsersRequest:
    return access_service_pb2.ListUsersRequest(page_size=size, page_token=token, role=role)


def listed(items: Sequence[Item], page: Page[Item]) -> tuple[Sequence[Item], str]:
    """Lists like a repository: in the order of the key, after the given one, up to the limit."""
    found = [item for item in sorted(items) if page.after is None or item > page.after]
    messages, token = page.of(found[: page.limit], message)
    return [(int(each.user_id), each.display_name) for each in messages], token


def message(item: Item) -> accounts_pb2.User:
    return accounts_pb2.User(user_id=str(item[0]), display_name=item[1])


def token_of(size: int = 2, role: str = "") -> str:
    """The token that continues a list of five."""
    _, token = listed([(number, "x") for number in range(5)], page_by(ITSELF, request(size, role=role)))
    assert token
    return token


def forged(*after: str, digest: bytes | None = None) -> str:
    """A token with a forged sort key, for the right list unless another digest is given."""
    content = page_pb2.PageToken(list_digest=page_of(request()).list_digest if digest is None else digest, after=after)
    return base64.urlsafe_b64encode(content.SerializeToString()).decode()


items = st.sets(
    st.tuples(st.integers(0, 4), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=3))
)


@examples(150)
@given(items, st.integers(1, 7))
def test_pages_of_any_size_see_every_item_exactly_once_and_in_order(items: set[Item], size: int) -> None:
    """Even if many items share the first column of the key, and whatever letters are in the second."""
    seen: list[Item] = []
    token, pages = "", 0
    while pages == 0 or token:
        shown, token = listed(list(items), page_by(ITSELF, request(size, token)))
        assert len(shown) == size or not token
        seen += shown
        pages += 1
    assert seen == sorted(items)
    assert pages == max(1, -(-len(items) // size))


@examples(100)
@given(items, items, st.integers(1, 4))
def test_an_item_that_stays_is_listed_once_while_others_come_and_go(
    staying: set[Item], passing: set[Item], size: int
) -> None:
    """A page continues after a key, not at an offset: additions and deletions shift nothing."""
    seen: list[Item] = []
    token, present = "", staying | passing
    while True:
        shown, token = listed(list(present), page_by(ITSELF, request(size, token)))
        seen += shown
        present = staying if present != staying else staying | passing
        if not token:
            break
    assert len(set(seen)) == len(seen)
    assert set(seen) >= staying
    assert seen == sorted(seen)


SIZES = {0: DEFAULT_SIZE, 1: 1, 999: 999, 1000: MAXIMUM_SIZE, 1001: MAXIMUM_SIZE, 2**31 - 1: MAXIMUM_SIZE}


@pytest.mark.parametrize(("asked", "size"), SIZES.items())
def test_the_size_of_a_page_has_a_default_and_a_maximum(asked: int, size: int) -> None:
    """0 means the default, and a larger size means the maximum."""
    page = page_of(request(asked))
    assert page.size == size
    assert page.limit == size + 1
    assert page.after is None


def test_the_last_page_has_no_token() -> None:
    """Whether it is just full or empty."""
    page = page_by(ITSELF, request(2))
    one, two, three = (1, "x"), (2, "x"), (3, "x")
    assert page.of([], message) == ([], "")
    assert page.of([one, two], message) == ([message(one), message(two)], "")
    shown, token = page.of([one, two, three], message)
    assert shown == [message(one), message(two)]
    assert token


def test_a_token_may_be_continued_with_another_size() -> None:
    """The size is not part of the list's identity."""
    pages = [page_by(ITSELF, request(size, token_of(2))) for size in (2, 5)]
    assert [page.after for page in pages] == [(1, "x"), (1, "x")]


def test_a_token_may_be_sent_more_than_once() -> None:
    """It marks where a page starts, and is not used up."""
    token = token_of()
    assert page_by(ITSELF, request(2, token)) == page_by(ITSELF, request(2, token))


@pytest.mark.parametrize(
    "other",
    [
        access_service_pb2.ListUsersRequest(role="staff"),
        catalog_service_pb2.ListProductsRequest(),
    ],
)
def test_a_token_belongs_to_one_method_with_its_filters(other: Any) -> None:
    """Another filter or another method makes it another list."""
    other.page_token = token_of()
    with pytest.raises(PageTokenInvalid):
        page_by(ITSELF, other)
    assert page_by(ITSELF, request(2, token_of(role="staff"), role="staff")).after


NO_TOKENS = ["x", "garbage", "====", "é", "☃", "a b", "\0", "AAAA", "A" * 1000]


@pytest.mark.parametrize("token", [*NO_TOKENS, token_of()[:-3], token_of()[3:], token_of() + "x"])
def test_an_invalid_token_is_refused(token: str) -> None:
    """Whatever it is, it is refused as not belonging to this list."""
    with pytest.raises(PageTokenInvalid):
        page_by(ITSELF, request(2, token))


def test_a_token_with_another_digest_is_refused() -> None:
    """Each bit of the list's digest counts, and so does its length."""
    digest = page_of(request()).list_digest
    assert page_by(ITSELF, request(2, forged("1", "x"))).after == (1, "x")
    flipped = [bytes(byte ^ (place == at) for at, byte in enumerate(digest)) for place in range(len(digest))]
    for other in (b"", digest[:-1], digest + b"\0", *flipped):
        with pytest.raises(PageTokenInvalid):
            page_by(ITSELF, request(2, forged("1", "x", digest=other)))


@pytest.mark.parametrize(
    ("after", "order"),
    [
        ((), by_column(itself, int)),
        (("1",), by_columns(itself, int, str)),
        (("1", "x", "y"), by_columns(itself, int, str)),
        (("one",), by_column(itself, int)),
        (("-1",), by_column(itself, key_sequence)),
        (("9223372036854775808",), by_column(itself, key_sequence)),
        (("yesterday",), by_column(itself, key_time)),
        (("2026-05-04T03:02:01",), by_column(itself, key_time)),
        (("7",), by_column(itself, UUID)),
        (("1\0",), by_column(itself, str)),
    ],
)
def test_an_invalid_sort_key_is_refused(after: tuple[str, ...], order: SortOrder[Any]) -> None:
    """Too few columns, too many, or a value of the wrong type."""
    with pytest.raises(PageTokenInvalid):
        page_by(order, request(2, forged(*after)))


@examples(200)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda content: base64.urlsafe_b64encode(content).decode()))
def test_no_text_causes_more_than_a_refusal(token: str) -> None:
    """Empty means the first page; any other invalid text is refused, without another error."""
    if not token:
        assert page_of(request(2, token)).after is None
        return
    with pytest.raises(PageTokenInvalid):
        page_of(request(2, token))


@examples(150)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=3))
def test_a_forged_sort_key_is_read_or_refused(after: list[str]) -> None:
    """For each type of column that lists are sorted by."""
    token = forged(*after)
    for order in (BY_TIME, by_columns(itself, int, UUID), by_column(itself, str)):
        try:
            page_by(order, request(2, token))
        except PageTokenInvalid:
            continue


@given(st.lists(st.integers(0, 700_000), max_size=12), st.integers(1, 12))
def test_a_page_ends_before_it_exceeds_the_size_of_a_response(sizes: list[int], size: int) -> None:
    """But it holds at least one item; all pages together hold each item once."""
    items = [(number, length) for number, length in enumerate(sizes)]
    seen: list[str] = []
    asked = request(size)
    while True:
        page = page_by(by_column(lambda item: item[0], int), asked)
        left = [item for item in items if page.after is None or item[0] > page.after]
        told, asked.page_token = page.of(
            left[: page.limit],
            lambda item: accounts_pb2.User(user_id=str(item[0]), display_name="x" * item[1]),
        )
        assert len(told) == 1 or sum(each.ByteSize() for each in told) <= MAX_PAGE_BYTES
        seen += [each.user_id for each in told]
        if not asked.page_token:
            break
    assert seen == [str(number) for number, _ in items]


def test_an_item_may_count_for_more_than_its_message() -> None:
    """A larger size that a repository reports also ends a page, although the caller does not see it."""
    page = page_by(ITSELF, request(5))
    items = [(number, "x") for number in range(4)]
    shown, token = page.of(items, message, size=lambda _: MAX_PAGE_BYTES // 2)
    assert shown == [message(item) for item in items[:2]]
    assert token
