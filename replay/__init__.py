"""Real orders of a real shop, replayed over gRPC as an internal service would send them."""

from replay.booking import BookedDay, book_day
from replay.calling import NotShown, ReplayFailed
from replay.dataset import Dataset, first_day, read_dataset
from replay.figures import Figures, Outcome
from replay.publishing import PublishedArticles, publish_articles
from replay.report import print_booked, print_outcome, print_published, print_rolled_out, progress_on
from replay.rollout import RolledOut, roll_out
from replay.rows import DatasetError
from replay.run import replay

__all__ = [
    "BookedDay",
    "Dataset",
    "DatasetError",
    "Figures",
    "NotShown",
    "Outcome",
    "PublishedArticles",
    "ReplayFailed",
    "RolledOut",
    "book_day",
    "first_day",
    "print_booked",
    "print_outcome",
    "print_published",
    "print_rolled_out",
    "progress_on",
    "publish_articles",
    "read_dataset",
    "replay",
    "roll_out",
]
