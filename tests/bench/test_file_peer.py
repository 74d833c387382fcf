"""The usual stack stores files and gives them back as Backroom does, and the echo as many bytes."""

import hashlib
from pathlib import Path

import grpc
import pytest
from google_crc32c import value

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1.file_service_pb2_grpc import FileServiceStub
from bench.peers.serving import echo, usual
from bench.peers.usual.issuing import TokenIssuer
from storage.url import sibling
from tests.bench.test_peers import Usual, made_database, told
from tests.files.calling import content_of

pytestmark = pytest.mark.proof


async def test_a_file_comes_back_as_it_was(postgres: str, tmp_path: Path) -> None:
    """With its size and its SHA-256; one that is not there is answered as such."""
    issuer, content = TokenIssuer(), content_of(3_000_000)
    with made_database(postgres) as name:
        url = sibling(postgres, name)
        with usual(url, "orm", issuer.public_key, folder=tmp_path) as served:
            async with Usual(served, url, issuer).client as client:
                answer = await client.post("/files", files={"file": ("a.bin", content)})
                assert answer.status_code == 201
                stored = answer.json()
                assert (stored["size_bytes"], stored["sha256"]) == (3_000_000, hashlib.sha256(content).hexdigest())
                assert (await client.get(f"/files/{stored['id']}")).content == content
                assert (tmp_path / stored["id"]).read_bytes() == content
                missing = await client.get("/files/0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11")
                assert told(missing) == (404, "FILE_NOT_FOUND")


async def test_the_echo_counts_and_sends_bytes() -> None:
    content = content_of(1_000)
    with echo() as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            files = FileServiceStub(channel)
            chunks = [pb.WriteChunksRequest(data=content, crc32c=value(content))] * 3
            assert (await files.WriteChunks(iter(chunks))).upload.received_bytes == 3_000
            answers = [answer async for answer in files.DownloadFile(pb.DownloadFileRequest(length=1_000_000))]
            assert sum(len(answer.data) for answer in answers) >= 1_000_000
