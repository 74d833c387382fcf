"""Real orders of a real shop, replayed over gRPC as an internal service would send them."""

from replay.calling import ReplayFailed
from replay.dataset import Dataset, first_day, read_dataset
from replay.figures import Figures, Outcome
from replay.report import print_outcome, print_rolled_out, progress_on
from replay.rollout import NotShown, RolledOut, roll_out
from replay.rows import DatasetError
from replay.run import replay

__all__ = [
    "Dataset",
    "DatasetError",
    "Figures",
    "NotShown",
    "Outcome",
    "ReplayFailed",
    "RolledOut",
    "first_day",
    "print_outcome",
    "print_rolled_out",
    "progress_on",
    "read_dataset",
    "replay",
    "roll_out",
]
