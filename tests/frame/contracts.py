"""The contract as its stubs describe it, for tests that compare the code with it."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor

PROTO = Path(__file__).resolve().parents[2] / "proto"


def contract_paths() -> Sequence[Path]:
    """The files of our contract, and of others' that we serve."""
    found = [*sorted(PROTO.glob("backroom/*/v1/*.proto")), *sorted(PROTO.glob("flagd/**/*.proto"))]
    assert found, f"no contract under {PROTO}"
    return found


def contract_files() -> Sequence[FileDescriptor]:
    """The same files, as their stubs describe them."""
    names = (path.relative_to(PROTO).with_suffix("").as_posix().replace("/", ".") for path in contract_paths())
    return [importlib.import_module(f"{name}_pb2").DESCRIPTOR for name in names]
