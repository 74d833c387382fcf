"""Messages that are sent again: of the same state of a record alone, and in bounded memory."""

from uuid import UUID

from server.frame.message_cache import MAX_BYTES, MessageCache

_ONE, _OTHER = UUID(int=1), UUID(int=2)


def test_a_message_is_given_out_for_the_state_that_it_was_made_of() -> None:
    """Not for another state of the record, nor for another record in such a state."""
    cache = MessageCache[str](str.encode)
    assert cache.add(_ONE, (1, []), "first") == b"first"
    assert cache.find_all([(_ONE, (1, []))]) == [b"first"]
    assert cache.find_all([(_ONE, (2, []))]) is None
    assert cache.find_all([(_OTHER, (1, []))]) is None
    assert cache.find_all([]) == []


def test_a_list_is_known_where_all_of_it_is() -> None:
    """In the order in which it is asked for; nothing is said of a part."""
    cache = MessageCache[str](str.encode)
    cache.add(_ONE, 1, "one")
    assert cache.find_all([(_OTHER, 1), (_ONE, 1)]) is None
    cache.add(_OTHER, 1, "other")
    assert cache.find_all([(_OTHER, 1), (_ONE, 1)]) == [b"other", b"one"]


def test_the_next_state_takes_the_place_of_the_one_before() -> None:
    """Nothing of what a record said before stays in memory once it was shown again."""
    cache = MessageCache[str](str.encode)
    cache.add(_ONE, 1, "first")
    size = cache.size_bytes
    cache.add(_ONE, 2, "later")
    assert cache.size_bytes == size
    assert cache.find_all([(_ONE, 1)]) is None
    assert cache.find_all([(_ONE, 2)]) == [b"later"]


def test_what_was_not_used_for_longest_goes_where_there_is_no_room() -> None:
    """It is made anew when it is shown again; memory stays within its bound meanwhile."""
    cache = MessageCache[str](str.encode, max_bytes=20_000)
    for number in range(100):
        cache.add(UUID(int=number), 1, "x" * 1000)
        assert cache.find_all([(UUID(int=0), 1)]) is not None
        assert cache.size_bytes <= 20_000
    assert cache.find_all([(UUID(int=99), 1)]) is not None
    assert cache.find_all([(UUID(int=1), 1)]) is None
    assert cache.add(UUID(int=1), 1, "again") == b"again"
    assert cache.find_all([(UUID(int=1), 1)]) == [b"again"]


def test_a_message_that_is_larger_than_all_the_room_is_given_and_not_kept() -> None:
    """And takes no room from then on."""
    cache = MessageCache[str](str.encode)
    text = "x" * MAX_BYTES
    assert len(cache.add(_ONE, 1, text)) == MAX_BYTES
    assert cache.find_all([(_ONE, 1)]) is None
    assert cache.size_bytes == 0
