"""Builds the stubs in proto/gen from the contract, which contract.py lays out with what it imports."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import contract
from contract import PROTO, THIRD_PARTY
from grpc_tools import protoc

GEN = PROTO / "gen"


def main() -> None:
    contract.lay_out()
    for package in ("backroom", "buf", "flagd"):
        shutil.rmtree(GEN / package, ignore_errors=True)
    compile_stubs()
    leave_contexts_open()


def compile_stubs(target: Path = GEN) -> None:
    """Compiles our contracts, those of others that we serve, and validate.proto, which no wheel ships compiled."""
    well_known = files("grpc_tools") / "_proto"
    found = (path for folder in ("backroom", "flagd") for path in PROTO.glob(f"{folder}/**/*.proto"))
    sources = sorted(str(path.relative_to(PROTO)) for path in found)
    services = [source for source in sources if source.endswith("_service.proto")]
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={THIRD_PARTY}",
        f"--proto_path={well_known}",
        f"--plugin=protoc-gen-mypy={_script('protoc-gen-mypy')}",
        f"--plugin=protoc-gen-mypy_grpc={_script('protoc-gen-mypy_grpc')}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
    ]
    rpcs = [*arguments[:-2], f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"]
    for command in ([*arguments, "buf/validate/validate.proto", *sources], [*rpcs, *services]):
        if protoc.main(command) != 0:
            sys.exit("protoc failed; its words stand above")
    list_stubs(services, target)


def list_stubs(services: Sequence[str], target: Path) -> None:
    """Writes `backroom/stubs.py`, from which the stubs of all our services can be imported by their names."""
    lines = ['"""The stub of each service of the contract."""\n']
    for source in (each for each in services if each.startswith("backroom/")):
        module = source.removesuffix(".proto").replace("/", ".")
        stub = "".join(part.capitalize() for part in Path(source).stem.split("_")) + "Stub"
        lines.append(f"from {module}_pb2_grpc import {stub} as {stub}")
    (target / "backroom" / "stubs.py").write_text("\n".join(lines) + "\n")


def leave_contexts_open() -> None:
    """Lets a servicer say which context it takes: the stubs name gRPC's own, which nothing narrower may stand for.

    Only in this checkout: a wheel has the stubs as they were generated.
    """
    for stub in (each for top in ("backroom", "flagd") for each in (GEN / top).rglob("*_pb2_grpc.pyi")):
        stub.write_text(stub.read_text().replace("context: _ServicerContext,", "context: _typing.Any,"))


def _script(name: str) -> str:
    """Where a command is: beside this Python, or on the PATH, as in the environment that pip builds a wheel in."""
    beside = sysconfig.get_path("scripts")
    return shutil.which(name, path=os.pathsep.join((beside, os.environ.get("PATH", "")))) or name


if __name__ == "__main__":
    main()
