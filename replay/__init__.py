"""Real orders of a real shop, replayed over gRPC as an internal service would send them."""

from replay.board import ClearedBoard, clear_board
from replay.booking import BookedDay, book_day
from replay.calling import NotShown, ReplayFailed
from replay.dataset import Dataset, first_day, read_dataset
from replay.figures import Figures, Outcome
from replay.report import print_booked, print_cleared, print_outcome, print_rolled_out, progress_on
from replay.rollout import RolledOut, roll_out
from replay.rows import DatasetError
from replay.run import replay

__all__ = [
    "BookedDay",
    "ClearedBoard",
    "Dataset",
    "DatasetError",
    "Figures",
    "NotShown",
    "Outcome",
    "ReplayFailed",
    "RolledOut",
    "book_day",
    "clear_board",
    "first_day",
    "print_booked",
    "print_cleared",
    "print_outcome",
    "print_rolled_out",
    "progress_on",
    "read_dataset",
    "replay",
    "roll_out",
]
