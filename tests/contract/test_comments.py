"""The contract's comments match what the servers do."""

from importlib import import_module

import server.application  # noqa: F401 - it has the refusals of what it is made of
from server.frame.errors import Code, Refusal
from server.modules import MODULES
from tests.contract.methods import METHODS
from tests.contract.proto_comments import all_reasons, reasons, rpcs
from tests.contract.test_every_method import MUTATING

RPCS = list(rpcs())


def refusals(kind: type[Refusal] = Refusal) -> list[type[Refusal]]:
    """Every refusal of every module of the server."""
    for module in MODULES:
        import_module(f"server.{module}.errors")  # those of a module that loads late included
    own = [kind] if hasattr(kind, "reason") else []
    return own + [each for child in kind.__subclasses__() for each in refusals(child) if "server." in each.__module__]


def test_every_method_has_a_comment() -> None:
    """The parser of the sources misses none."""
    assert {rpc.path for rpc in RPCS} == {str(method) for method in METHODS}


def test_comments_name_refusals_by_reasons_that_exist() -> None:
    """Each "CODE / REASON" is in the module's errors.proto or the common one, with the same code."""
    for rpc in RPCS:
        known = {**reasons("common"), **reasons(rpc.module)}
        unknown = {reason: code for reason, code in rpc.refusals.items() if known.get(reason) != code}
        assert not unknown, rpc.path


def test_comments_of_methods_that_can_refuse_name_a_refusal() -> None:
    """A comment that writes its refusals in another format would appear to have none."""
    silent = {rpc.path.rpartition("/")[2] for rpc in RPCS if not rpc.refusals}
    assert silent == {"PlaceOrders", "Logout"}


def test_comments_of_changes_say_what_repeating_does() -> None:
    """The comment of each mutating method says it."""
    changes = {str(method) for method in MUTATING}
    assert not [rpc.path for rpc in RPCS if rpc.path in changes and "epeating" not in " ".join(rpc.lines)]


def test_changes_under_a_request_id_name_the_refusal_of_its_reuse() -> None:
    """This holds for each unary or client-streaming method that takes a request_id itself."""
    changes = {str(method) for method in MUTATING if "request_id" in method.takes.fields_by_name}
    assert not [rpc.path for rpc in RPCS if rpc.path in changes and "REQUEST_ID_REUSED" not in rpc.refusals]


def test_every_refusal_of_the_server_is_in_the_contract() -> None:
    """The codes are the same, and no reason of the contract is without a refusal."""
    # Only a command on the database refuses with it; a call would reveal who has an account.
    commands_alone = {"EMAIL_TAKEN"}
    kinds = {kind.reason: kind.code.value for kind in refusals() if kind.reason not in commands_alone}
    assert kinds == dict(all_reasons())


def test_every_code_of_the_contract_can_be_sent() -> None:
    """Every code that the contract names is a code of gRPC."""
    assert set(all_reasons().values()) <= {code.value for code in Code}
