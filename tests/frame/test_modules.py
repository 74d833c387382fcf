"""The list of all modules, and what is derived from it."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from server.frame.settings import declared
from server.modules import MODULES, manifest, settings_class
from server.settings import settings_of
from storage.database import Database
from storage.schema import METADATA, SCHEMAS
from tests.contract.methods import SERVICES
from tests.contract.proto_comments import module_of
from tests.fixtures.applications import QUIET, application_of
from tests.import_laws import expanded

ROOT = Path(__file__).resolve().parents[2]


def folders(pattern: str) -> set[str]:
    """The names of the modules that have a file of this pattern."""
    place = pattern.split("/").index("*")
    return {path.relative_to(ROOT).parts[place] for path in ROOT.glob(pattern)} - {"frame"}


@pytest.mark.parametrize("pattern", ["server/*/module.py", "storage/*/store.py", "proto/backroom/*/v1/*_service.proto"])
def test_the_modules_are_the_folders_of_each_layer(pattern: str) -> None:
    """The list has every module, and no module that does not exist."""
    assert folders(pattern) == set(MODULES)
    assert len(MODULES) == len(set(MODULES))


def test_each_module_has_a_schema_of_its_own() -> None:
    """And so has the frame; the tables of all of them are compared with the migrations."""
    assert set(SCHEMAS) == {"frame", *MODULES}
    kept = {path.relative_to(ROOT / "storage").parts[0] for path in (ROOT / "storage").glob("*/tables*")}
    assert kept == {str(table.schema) for table in METADATA.sorted_tables} == set(SCHEMAS)


def test_no_two_modules_claim_the_same_name() -> None:
    """Neither for an event type, nor as receiver of a webhook source."""
    manifests = [manifest(name) for name in MODULES]
    assert [each.name for each in manifests] == list(MODULES)
    for named in ("event_types", "takers"):
        counts = Counter(name for each in manifests for name in getattr(each, named))
        assert counts
        assert set(counts.values()) == {1}, counts


def test_each_port_of_a_module_has_an_address_and_services_of_the_module() -> None:
    """Settings give the address, and none of an address is without a port; the contract has the services."""
    for name in MODULES:
        given = {each.name: "127.0.0.1:0" for each in declared(settings_class(name)) if each.name.endswith("_ADDRESS")}
        ports = manifest(name).own_ports
        assert {port.setting for port in ports} == set(settings_of(given).of_modules[name].grpc_addresses())
        own = {each.full_name for each in SERVICES if module_of(each.full_name) == name}
        assert all(port.services and own.issuperset(port.services) for port in ports)
    assert manifest("flags").own_ports


async def test_an_application_contains_every_service_of_the_contract(database: Database) -> None:
    """Each from the module whose folder of the contract declares it; flagd's from flags."""
    application = application_of(database, QUIET)
    try:
        assert {service.name for service in application.services} == {service.full_name for service in SERVICES}
        for name in MODULES:
            alone = application_of(database, QUIET, modules=(name,))
            assert {module_of(service.name) for service in alone.services} == {name}
            assert {task.name.split(".")[0] for task in alone.tasks} - {name} == {"frame"}
            await alone.finish()
    finally:
        await application.finish()


def contracts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def test_import_rules_name_no_module() -> None:
    """They apply to a new module as to the others."""
    assert len(contracts()) > 10
    for contract in contracts():
        lists = [each for value in contract.values() if isinstance(value, list) for each in value]
        assert not {part for each in lists for part in each.replace("|", ".").split(".")} & set(MODULES), contract


def test_the_modules_are_where_the_import_rules_expect_them() -> None:
    """One line for each, or all in one layer."""
    given = {"type": "layers", "layers": ["cli", "<modules>"], "containers": ["server.<module>", "server"]}
    assert expanded(given) == {
        "type": "layers",
        "layers": ["cli", " | ".join(MODULES)],
        "containers": [*(f"server.{module}" for module in MODULES), "server"],
    }
