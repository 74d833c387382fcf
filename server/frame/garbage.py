"""What is kept for long is left out of the garbage collector's work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEVER = 2**31 - 1


@contextmanager
def lasting() -> Iterator[None]:
    """What is made in the block, in any thread, is not gone through by a later collection.

    A full collection goes through all that is kept while nothing else runs; 10,000 flags are a million objects. What
    is no longer referred to is still freed at once, so what the block makes must have no cycles. What calls under way
    leave behind in cycles is not freed either, some hundred bytes a call: the block is for what changes rarely.

    It does nothing while the collector is off, as until a server answers, or within another such block.
    """
    thresholds = gc.get_threshold()
    if not gc.isenabled() or thresholds[2] == _NEVER:
        yield
        return
    gc.collect()  # what is garbage by now would be kept with the rest
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.collect(1)  # and so would what became garbage meanwhile
        gc.freeze()
        gc.set_threshold(*thresholds)
