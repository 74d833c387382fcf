"""The process's file descriptors: each connection is one, and callers must not be able to take the last."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_DESCRIPTORS = 1 << 20
"""More than any one process can serve; some systems allow, and then have to keep books of, many times that."""
_RESERVE = 64


class Descriptors:
    """How many this process may open, of which some are kept back for what the server itself has to open.

    gRPC takes connections until the process's soft limit, and waits there; it cannot be told to stop earlier without
    turning callers away. So the soft limit stands below the hard one, and is lifted while a reserved one is opened.
    """

    def __init__(self, *, reserve: int = 0) -> None:
        """Leaves the process's limit as it is where nothing is reserved."""
        soft, self._hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._reserve = reserve
        self.limit = _number(soft)
        self._borrowers = 0

    @classmethod
    def raised(cls) -> "Descriptors":
        """As many as the system lets this process have, less the reserve."""
        found = cls()
        total = max(found.limit, _number(found._hard))
        found._reserve = min(_RESERVE, total // 8)
        found.limit = total - found._reserve
        found._set(found.limit)
        return found

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Within the block, what is opened may be one of the reserve."""
        if not self._reserve:
            yield
            return
        self._borrowers += 1
        self._set(self.limit + self._reserve)
        try:
            yield
        finally:
            self._borrowers -= 1
            if not self._borrowers:
                self._set(self.limit)

    def _set(self, soft: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, self._hard))


def _number(limit: int) -> int:
    return _MAX_DESCRIPTORS if limit == resource.RLIM_INFINITY else min(limit, _MAX_DESCRIPTORS)
