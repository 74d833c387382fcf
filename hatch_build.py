"""Names the client that stands beside, so that `pip install .` in a checkout takes the contract's stubs from there."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientBeside(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `backroom-client @ file:...` to a wheel that is built in a checkout.

    A wheel for others is built from the source distribution, which has no client beside it: it names a version only.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        client = Path(self.root) / "client"
        if (client / "pyproject.toml").is_file():
            build_data["dependencies"].append(f"backroom-client @ {client.as_uri()}")
