"""The descriptor image is complete, and compilers accept it."""

import shutil
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from tests.clients.conftest import PROTO, contract, said

pytestmark = pytest.mark.clients


def names() -> list[str]:
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("backroom/**/*.proto"))


def test_the_image_contains_the_contract_with_all_imports(image: Path) -> None:
    """Each file comes after its imports, and ours have their comments."""
    files = FileDescriptorSet.FromString(image.read_bytes()).file
    pool = DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    found = {file.name: file for file in files}
    assert set(names()) == {name for name in found if name.startswith("backroom/")}
    service = found["backroom/commerce/v1/order_service.proto"]
    assert any("Places an order" in place.leading_comments for place in service.source_code_info.location)


async def test_protoc_accepts_the_image(image: Path, tmp_path: Path) -> None:
    """Without any other file."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    await said(*protoc, f"--descriptor_set_in={image}", f"--python_out={tmp_path}", *names())
    assert (tmp_path / "backroom/commerce/v1/order_service_pb2.py").is_file()


async def test_protoc_accepts_the_sources(clone: Path, tmp_path: Path) -> None:
    """With the two folders that `make contract` names."""
    proto = clone / "proto"
    folders = [f"-I{proto}", f"-I{proto / 'gen' / 'third_party'}"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    await said(*protoc, *folders, f"--python_out={tmp_path}", "backroom/commerce/v1/order_service.proto")
    assert (tmp_path / "backroom/commerce/v1/order_service_pb2.py").is_file()


async def test_buf_accepts_the_clone(clone: Path) -> None:
    """Any `buf` command, which in a fresh clone lacks the imports."""
    with contract.buf() as buf:
        assert "backroom/commerce/v1/order_service.proto" in await said(buf, "ls-files", cwd=clone)
        await said(buf, "lint", cwd=clone)


async def test_an_older_protoc_accepts_the_image(image: Path, tmp_path: Path) -> None:
    """Debian 12's 3.21, which is too old for the sources; or the installed one."""
    protoc = shutil.which("protoc")
    if protoc is None:
        pytest.skip("no protoc is installed")
    await said(protoc, f"--descriptor_set_in={image}", f"--python_out={tmp_path}", *names())
