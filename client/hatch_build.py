"""Compiles the stubs that the client brings, from the contract in ../proto or, in a source distribution, in its own."""

import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("backroom", "buf/validate", "flagd")
"""What is compiled and has types; `buf` itself belongs to whoever else is below it."""
SOURCES = ("generate.py", "contract.py", "backroom", "flagd", "gen/third_party")


class Stubs(BuildHookInterface):  # type: ignore[type-arg]  # any configuration
    """Puts the contract into a source distribution, and freshly compiled stubs with their types into a wheel.

    An editable installation reads those in proto/gen, which `make generate` builds; here they are only where missing.
    """

    _compiled: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        own = Path(self.root) / "proto"
        proto = own if own.is_dir() else Path(self.root).parent / "proto"
        if not (proto / "generate.py").is_file():
            raise FileNotFoundError(f"{proto} is missing: the client is built where Backroom's contract is next to it")
        sys.path.insert(0, str(proto))
        if proto != own:
            import_module("contract").lay_out()
        if self.target_name == "sdist":
            build_data["force_include"].update({str(proto / name): f"proto/{name}" for name in SOURCES})
        elif version == "editable":
            if not (proto / "gen" / "backroom").is_dir():
                import_module("generate").compile_stubs()
        else:
            build_data["force_include"].update(self._stubs())

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._compiled:
            shutil.rmtree(self._compiled)

    def _stubs(self) -> dict[str, str]:
        self._compiled = target = Path(tempfile.mkdtemp(prefix="backroom-stubs-"))
        import_module("generate").compile_stubs(target)
        for package in PACKAGES:
            (target / package / "py.typed").touch()
        return {str(target / package): package for package in PACKAGES}
