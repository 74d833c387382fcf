"""Real orders of a real shop, replayed over gRPC as an internal service would send them."""

from replay.calling import ReplayFailed
from replay.dataset import Dataset, first_day, read_dataset
from replay.figures import Figures, Outcome
from replay.report import print_outcome, progress_on
from replay.rows import DatasetError
from replay.run import replay
from replay.shows import shows

__all__ = [
    "Dataset",
    "DatasetError",
    "Figures",
    "Outcome",
    "ReplayFailed",
    "first_day",
    "print_outcome",
    "progress_on",
    "read_dataset",
    "replay",
    "shows",
]
