"""What a module declares for the contract's tests: `ROWS` in `tests/<module>/contract_rows.py`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from google.protobuf.message import Message

from server.modules import MODULES
from tests.contract.scenario import Scenario
from tests.fixtures.servers import Api, Running

Take = tuple[str, str]
"""A method, and the path of a field that holds an id, such as ("OrderService/GetOrder", "order_id")."""


async def _nothing(_server: Running, _owner: Api) -> Mapping[str, str]:
    return {}


async def _no_answers(_server: Running, _admin: Api) -> Sequence[Message]:
    return ()


@dataclass(frozen=True, kw_only=True)
class ContractRows:
    """Facts that cannot be read from the contract."""

    changes: Sequence[Callable[[Scenario], Awaitable[None]]]
    """Each calls methods that change something, by `Scenario.change`; together they must call all of the module's."""
    unrecorded: Mapping[str, str] = field(default_factory=dict)
    """The methods, by their names, that change something and leave no audit entry, and why."""
    everyones: Mapping[Take, str] = field(default_factory=dict)
    """The ids that no account owns, and why."""
    own: Mapping[Take, str] = field(default_factory=dict)
    """The ids that an account owns, each by its name in the result of `owned`."""
    permissions: Sequence[str] = ()
    """All permissions on one's own resources, and none on those of others."""
    owned: Callable[[Running, Api], Awaitable[Mapping[str, str]]] = _nothing
    """Creates resources for a caller, and returns their ids by name."""
    state: Callable[[Api, Mapping[str, str]], Awaitable[object]] | None = None
    """The owner's view of them, which nobody else's calls may change."""
    shows_secrets: frozenset[str] = frozenset()
    """The methods whose responses hold secrets, such as "WebhookService/CreateEndpoint"."""
    secret_answers: Callable[[Running, Api], Awaitable[Sequence[Message]]] = _no_answers
    """Responses that hold secrets of the module, to be searched for in the database."""


@cache
def all_rows() -> Mapping[str, ContractRows]:
    """The rows of each module, in the order of MODULES."""
    return {module: import_module(f"tests.{module}.contract_rows").ROWS for module in MODULES}
