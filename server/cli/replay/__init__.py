"""Real orders of a real shop, replayed over gRPC as an internal service would send them."""

from server.cli.replay.calling import ReplayFailed
from server.cli.replay.dataset import Dataset, read_dataset
from server.cli.replay.figures import Figures, Outcome
from server.cli.replay.report import print_outcome, progress_on
from server.cli.replay.rows import DatasetError
from server.cli.replay.run import replay

__all__ = [
    "Dataset",
    "DatasetError",
    "Figures",
    "Outcome",
    "ReplayFailed",
    "print_outcome",
    "progress_on",
    "read_dataset",
    "replay",
]
