"""Names the client that stands beside, so that `pip install .` in a checkout takes the contract's stubs from there."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientBeside(BuildHookInterface):  # type: ignore[type-arg]  # any configuration
    """Names the client's folder instead of its version in a wheel that is built in a checkout.

    A wheel for others is built from the source distribution, which has no client beside it.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        client = Path(self.root) / "client"
        if (client / "pyproject.toml").is_file():
            # Hatchling only appends what a hook adds, and pip gives up at a version that no index has.
            dependencies = self.metadata.core.dependencies
            place = next(place for place, each in enumerate(dependencies) if each.startswith("backroom-client"))
            dependencies[place] = f"backroom-client @ {client.as_uri()}"
