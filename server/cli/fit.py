"""Whether the settings are fit to start with; by itself, since the supervisor imports nothing else of the edge."""

from server.cli.failure import Failure
from server.process.start import reasons_not_to_start
from server.settings import Settings


def fit_to_start(configured: Settings, *, listens: bool = True) -> None:
    """Raises Failure, with a line for each reason, where a process must not start so."""
    if reasons := reasons_not_to_start(configured, listens=listens):
        raise Failure("\n".join(reasons))
