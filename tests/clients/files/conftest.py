"""tus-js-client and Uppy, installed as their users do."""

from pathlib import Path

import pytest

from tests.clients.npm import installed

PROGRAMS = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def tus_clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(PROGRAMS, tmp_path_factory.mktemp("tus") / "node")
