"""Files as FastAPI's own guide has them: an UploadFile, which is copied to its place, and a StreamingResponse."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Security, UploadFile, status
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.peers.usual.errors import Refusal
from bench.peers.usual.file_models import File
from bench.peers.usual.schemas import Out
from bench.peers.usual.security import Caller, get_caller

router = APIRouter(prefix="/files", tags=["files"])

_CHUNK_BYTES = 1024 * 1024


class FileOut(Out):
    id: UUID
    name: str
    size_bytes: int
    sha256: str


class FileNotFound(Refusal):
    """No file has this id."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "FILE_NOT_FOUND"


def _place(request: Request, file_id: UUID) -> Path:
    folder: Path = request.app.state.folder
    return folder / str(file_id)


@router.post("", status_code=status.HTTP_201_CREATED)
async def upload(
    request: Request, file: UploadFile, caller: Annotated[Caller, Security(get_caller, scopes=["files.upload"])]
) -> FileOut:
    file_id, digest, size = uuid4(), hashlib.sha256(), 0
    with await run_in_threadpool(_place(request, file_id).open, "wb") as target:
        while chunk := await file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            await run_in_threadpool(target.write, chunk)
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    found = File(
        id=file_id,
        owner_id=caller.account_id,
        name=file.filename or "",
        size_bytes=size,
        sha256=digest.hexdigest(),
        create_time=datetime.now(UTC),
    )
    async with sessions() as session, session.begin():
        session.add(found)
    return FileOut.model_validate(found, from_attributes=True)


@router.get("/{file_id}", dependencies=[Security(get_caller, scopes=["files.upload"])])
async def download(request: Request, file_id: UUID) -> StreamingResponse:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        file = await session.get(File, file_id)
    if file is None:
        raise FileNotFound
    headers = {"content-length": str(file.size_bytes)}
    return StreamingResponse(_read(_place(request, file_id)), media_type="application/octet-stream", headers=headers)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
