_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
"""In seconds."""
_SETTLED = 60.0
"""In seconds: after serving for so long, an end has nothing to do with the one before."""
_MOST_UNSERVED = 5
"""How often in a row a worker may end before it serves: what keeps it from it will not pass by itself."""


class Restarts:
    """How soon one worker is started again after each end, and for how long it is tried."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._unserved = 0

    def pause(self, served: float | None) -> float | None:
        """How many seconds to wait after it served for so many, or never (None); None where it is to be given up."""
        self._unserved = 0 if served is not None else self._unserved + 1
        if self._unserved >= _MOST_UNSERVED:
            return None
        if served is not None and served >= _SETTLED:
            self._in_a_row = 0
        self._in_a_row += 1
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._in_a_row - 1))
