"""What the tests of the contract are told of files."""

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from tests.commerce.goods import raw
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.files.calling import Behind, chunks, complete, content_of, found, uploaded
from tests.fixtures.servers import Api, Running
from tests.fixtures.trading import eventually

_CONTENT = content_of(100)


async def upload(scenario: Scenario) -> None:
    """A file, from its upload to its end."""
    admin = scenario.admin
    create = pb.CreateUploadRequest(request_id=fresh(), name="a.txt", size_bytes=len(_CONTENT))
    answer = await scenario.change(admin, "CreateUpload", create, "file/{answer.upload.file.file_id}")
    file_id = answer.upload.file.file_id
    named, one = {"file_id": file_id}, f"file/{file_id}"
    await scenario.change(admin, "WriteChunks", next(chunks(file_id, _CONTENT)), one)
    await scenario.change(admin, "CompleteUpload", complete(file_id, _CONTENT), one)
    # By the server's own jobs, with the scanner that it is set to have.
    await eventually(
        lambda: found(admin, file_id), lambda file: file.state == files_pb2.FILE_STATE_UNSCANNABLE, within=60
    )
    link = pb.CreateDownloadLinkRequest(request_id=fresh(), **named)
    await scenario.change(admin, "CreateDownloadLink", link, one)
    for held in (True, False):
        hold = pb.SetLegalHoldRequest(request_id=fresh(), legal_hold=held, **named)
        await scenario.change(admin, "SetLegalHold", hold, one)
    await scenario.change(admin, "RescanFiles", pb.RescanFilesRequest(request_id=fresh(), **named), one)
    await scenario.change(admin, "DeleteFile", pb.DeleteFileRequest(request_id=fresh(), **named), one)


async def limit(scenario: Scenario) -> None:
    """How much an account may store."""
    owner_id = str(scenario.admin.account_id)
    quota = pb.SetQuotaRequest(request_id=fresh(), owner_id=owner_id, quota_bytes=5)
    await scenario.change(scenario.admin, "SetQuota", quota, f"files_quota/{owner_id}")


async def lend(scenario: Scenario) -> None:
    """A link to upload by."""
    link = pb.CreateUploadLinkRequest(request_id=fresh())
    await scenario.change(scenario.admin, "CreateUploadLink", link, f"upload_link/{scenario.admin.account_id}")


async def owned(server: Running, owner: Api) -> Mapping[str, str]:
    """A file that is served, and an upload."""
    file = await uploaded(owner, _CONTENT)
    await Behind(server.database).scanning.scan_due()
    request = pb.CreateUploadRequest(request_id=fresh(), name="b.txt", size_bytes=len(_CONTENT))
    started = (await owner.files.CreateUpload(request)).upload.file.file_id
    return {"file": file.file_id, "upload": started}


async def state(owner: Api, ids: Mapping[str, str]) -> object:
    """Both as they are."""
    return [raw(await found(owner, ids[each])) for each in ("file", "upload")]


async def secret_answers(server: Running, admin: Api) -> Sequence[Message]:
    file = await uploaded(admin, _CONTENT)
    await Behind(server.database).scanning.scan_due()
    request = pb.CreateDownloadLinkRequest(request_id=fresh(), file_id=file.file_id)
    lent = pb.CreateUploadLinkRequest(request_id=fresh())
    return [await admin.files.CreateDownloadLink(request), await admin.files.CreateUploadLink(lent)]


_ONES = ("DownloadFile", "GetFile", "DeleteFile", "GetThumbnail", "CreateDownloadLink")
_UPLOADS = ("WriteChunks", "GetUpload", "CompleteUpload")
_MANAGERS = "whoever manages one file may manage all of them"
_CHOOSES = "it chooses from what the caller may see, and nothing is looked up"

ROWS = ContractRows(
    changes=(upload, limit, lend),
    everyones={
        ("FileService/ListFiles", "owner_id"): _CHOOSES,
        ("FileService/WatchFiles", "file_id"): _CHOOSES,
        ("FileService/ListVerdicts", "file_id"): "whoever reads one file's verdicts may read all of them",
        ("FileService/SetLegalHold", "file_id"): _MANAGERS,
        ("FileService/RescanFiles", "file_id"): _MANAGERS,
        ("FileService/SetQuota", "owner_id"): _MANAGERS,
        ("FileService/GetUsage", "owner_id"): "of another account, it is refused before anything is looked up",
    },
    own={
        **{(f"FileService/{name}", "file_id"): "file" for name in _ONES},
        **{(f"FileService/{name}", "file_id"): "upload" for name in _UPLOADS},
    },
    permissions=("files.upload",),
    owned=owned,
    state=state,
    shows_secrets=frozenset({"FileService/CreateDownloadLink", "FileService/CreateUploadLink"}),
    secret_answers=secret_answers,
)
