"""Builds the stubs in proto/gen from the contracts, and lays out the contracts that they import.

Third-party contracts are taken from pinned packages, at this step and not from git: google/type and google/rpc from
googleapis-common-protos, buf/validate from the source distribution of protovalidate.
"""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
GEN = PROTO / "gen"
THIRD_PARTY = GEN / "third_party"
VALIDATE_LOCK = PROTO.parent / "requirements" / "validate.txt"
"""protovalidate 1.2.0 with its hash: the last one whose source distribution holds validate.proto."""


def main() -> None:
    shutil.rmtree(GEN, ignore_errors=True)
    lay_out_google()
    lay_out_validate()
    compile_stubs()


def lay_out_google() -> None:
    """Copies google/type and google/rpc out of googleapis-common-protos."""
    for package in ("type", "rpc"):
        target = THIRD_PARTY / "google" / package
        target.mkdir(parents=True)
        for source in Path(str(files("google") / package)).glob("*.proto"):
            shutil.copy(source, target)


def lay_out_validate() -> None:
    """Takes buf/validate/validate.proto out of the pinned source distribution, which pip fetches and checks."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        source_only = ["--no-binary", ":all:", "--require-hashes"]
        subprocess.run([*pip, *source_only, "-r", str(VALIDATE_LOCK), "-d", folder], check=True)
        (archive,) = Path(folder).glob("protovalidate-*.tar.gz")
        with tarfile.open(archive) as tar:
            member = next(m for m in tar if m.name.endswith("upstream/proto/buf/validate/validate.proto"))
            content = tar.extractfile(member)
            assert content is not None
            target = THIRD_PARTY / "buf" / "validate" / "validate.proto"
            target.parent.mkdir(parents=True)
            target.write_bytes(content.read())


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
