"""What import-linter holds of every module, whichever there are: its lists in pyproject.toml name none by hand.

`<module>` in a list stands for each of server.modules.MODULES, and `<modules>` for all of them in one layer.
"""

from collections.abc import Mapping
from typing import Any

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract, ContractCheck

from server.modules import MODULES


def expanded(options: Mapping[str, Any]) -> dict[str, Any]:
    """A contract's options, with the modules in their places."""
    return {name: _listed(value) if isinstance(value, list) else value for name, value in options.items()}


def _listed(values: list[str]) -> list[str]:
    values = [value.replace("<modules>", " | ".join(MODULES)) for value in values]
    return [each for value in values for each in dict.fromkeys(value.replace("<module>", module) for module in MODULES)]


class Layers(LayersContract):
    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        super().__init__(name, session_options, expanded(contract_options))


class Forbidden(ForbiddenContract):
    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        super().__init__(name, session_options, expanded(contract_options))


class Islands(Contract):
    """No module sees another one, nor what another one keeps."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        broken = []
        for module in MODULES:
            others = [f"{floor}.{other}" for floor in ("server", "storage") for other in MODULES if other != module]
            own = {"source_modules": [f"server.{module}", f"storage.{module}"], "forbidden_modules": others}
            contract = ForbiddenContract(f"{module} is an island", self.session_options, own)
            found = contract.check(graph, verbose)
            if not found.kept:
                broken.append((contract, found))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for contract, found in check.metadata["broken"]:
            contract.render_broken_contract(found)
