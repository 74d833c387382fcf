"""Which Backroom this is, and on what it runs."""

import platform
from importlib import metadata


def version() -> str:
    """The distribution's."""
    try:
        return metadata.version("backroom")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "of a source tree"


def versions() -> str:
    """What to name in a report of a fault: this, and what most faults hang on."""
    import grpc
    import psycopg

    parts = (
        f"Python {platform.python_version()}",
        f"libpq {_dotted(psycopg.pq.version())} by psycopg {psycopg.__version__}",
        f"gRPC {grpc.__version__}",
        f"{platform.system()} {platform.machine()}",
    )
    return "\n".join([f"backroom {version()}", *(f"  {part}" for part in parts)])


def _dotted(number: int) -> str:
    """libpq's number, such as 180003, as people write it: 18.3."""
    return f"{number // 10_000}.{number % 10_000}"
