"""Builds the stubs in proto/gen from the contract, which contract.py lays out with what it imports."""

import shutil
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import contract
from contract import PROTO, THIRD_PARTY
from grpc_tools import protoc

GEN = PROTO / "gen"


def main() -> None:
    contract.lay_out()
    for package in ("backroom", "buf"):
        shutil.rmtree(GEN / package, ignore_errors=True)
    compile_stubs()


def compile_stubs() -> None:
    """Compiles our contracts, and validate.proto, which no wheel ships compiled."""
    well_known = files("grpc_tools") / "_proto"
    scripts = Path(sysconfig.get_path("scripts"))
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("backroom/**/*.proto"))
    services = [source for source in sources if source.endswith("_service.proto")]
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={THIRD_PARTY}",
        f"--proto_path={well_known}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={GEN}",
        f"--mypy_out=quiet:{GEN}",
    ]
    rpcs = [*arguments[:-2], f"--grpc_python_out={GEN}", f"--mypy_grpc_out=quiet:{GEN}"]
    for command in ([*arguments, "buf/validate/validate.proto", *sources], [*rpcs, *services]):
        if protoc.main(command) != 0:
            sys.exit("protoc failed; its words stand above")


if __name__ == "__main__":
    main()
