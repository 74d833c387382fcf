"""tus-js-client, by a token and by a link: uploads in one go, broken off and continued, and given up."""

import json
import shutil
from pathlib import Path

import pytest

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from tests.clients.conftest import said
from tests.files.calling import fresh
from tests.fixtures.servers import Api, Running

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("by_link", [False, True])
async def test_uploads_are_continued_and_given_up(
    server: Running, customer: Api, tus_clients: Path, by_link: bool
) -> None:
    path, token = "/files/uploads", customer.token or ""
    if by_link:
        request = pb.CreateUploadLinkRequest(request_id=fresh())
        path, token = (await customer.files.CreateUploadLink(request)).path, ""
    node = shutil.which("node") or "node"
    environment = {"BACKROOM_ENDPOINT": f"{server.http}{path}", "BACKROOM_TOKEN": token}
    answer = json.loads(await said(node, "upload.mjs", cwd=tus_clients, **environment))
    assert answer["broken"] == [True, True]
    assert answer["terminated"] == 404
    files = (await customer.files.ListFiles(pb.ListFilesRequest())).files
    assert [(file.name, file.sha256) for file in files] == [("Übung.bin", answer["sha256"])] * 2
    assert {file.state for file in files} == {files_pb2.FILE_STATE_STORED}
    assert {("continued" in url) for url in answer["urls"]} == {by_link}
