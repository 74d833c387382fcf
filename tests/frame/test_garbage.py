"""What is kept for long, and the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from server.frame.garbage import lasting


class _Node:
    """May refer to itself, and so be freed by a collection alone."""

    def __init__(self) -> None:
        self.other: _Node | None = None


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The collector as other tests have it."""
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    gc.enable()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    if not enabled:
        gc.disable()


def _circle() -> "weakref.ref[_Node]":
    node = _Node()
    node.other = node
    return weakref.ref(node)


def test_what_lasts_is_not_gone_through_again() -> None:
    """And is freed at once when nothing refers to it any more."""
    with lasting():
        kept = _Node()
    assert not any(each is kept for each in gc.get_objects())  # those that collections go through
    gone = weakref.ref(kept)
    del kept
    assert gone() is None


def test_garbage_from_before_and_meanwhile_is_not_kept_with_it() -> None:
    """Both are collected before what is left is frozen."""
    before = _circle()
    with lasting():
        meanwhile = _circle()
    assert before() is None
    assert meanwhile() is None


def test_the_collector_goes_on_as_before() -> None:
    """With its thresholds, also after a block within another one, or one that failed."""
    thresholds = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), lasting(), lasting():
        raise ZeroDivisionError
    assert gc.get_threshold() == thresholds
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    """As until a server answers: what was made by then is frozen at once."""
    gc.disable()
    frozen = gc.get_freeze_count()
    with lasting():
        pass
    assert not gc.isenabled()
    assert gc.get_freeze_count() == frozen
