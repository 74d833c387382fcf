"""One real day of a real shop, shipped with the package."""

from importlib.resources import as_file, files

from server.cli.replay.dataset import Dataset, read_dataset

FILE = "online-retail-2010-12-01.csv.xz"


def first_day() -> Dataset:
    """The orders of 2010-12-01; `server/cli/replay/data/README.md` says whose they are."""
    with as_file(files("server.cli.replay") / "data" / FILE) as path:
        return read_dataset(path)
