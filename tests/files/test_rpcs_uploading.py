"""Uploads: chunks, offsets, completion, and what is refused of them."""

import asyncio
import errno
from collections.abc import AsyncIterator

import grpc
import pytest

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.files.blobs import folder
from server.files.service import receiving
from tests.files.calling import (
    CHUNK,
    chunks,
    clean,
    complete,
    content_of,
    created,
    downloaded,
    found,
    fresh,
    got,
    sha256_of,
    uploaded,
    written,
)
from tests.fixtures.applications import FILES_FOLDER
from tests.fixtures.servers import Api, Running, refusal
from tests.fixtures.trading import eventually


async def test_what_was_uploaded_is_downloaded_once_it_is_clean(server: Running, customer: Api) -> None:
    """Until then it is refused, with its state."""
    content = content_of(3 * CHUNK + 17)
    file = await uploaded(customer, content, "report.pdf", declared_type="application/pdf")
    assert (file.state, file.size_bytes, file.sha256) == (
        files_pb2.FILE_STATE_STORED,
        len(content),
        sha256_of(content),
    )
    assert (file.name, file.declared_type, file.content_type) == ("report.pdf", "application/pdf", "")
    refused = await refusal(downloaded(customer, file.file_id))
    assert (refused.code.name, refused.reason, refused.metadata) == (
        "FAILED_PRECONDITION",
        "FILE_NOT_SERVED",
        {"state": "stored"},
    )
    served = await clean(server, customer, content)
    assert (served.verdict.outcome, served.verdict.scanner) == (files_pb2.OUTCOME_CLEAN, "searching")
    for each in (file.file_id, served.file_id):
        assert await downloaded(customer, each) == content


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
async def test_a_file_of_any_size_comes_back_as_it_was(server: Running, customer: Api, size: int) -> None:
    """Also an empty one, of which no chunk is sent."""
    content = content_of(size)
    file_id = (await created(customer, size)).file.file_id
    if size:
        await written(customer, file_id, content)
    done = (await customer.files.CompleteUpload(complete(file_id, content))).file
    again = await clean(server, customer, content)
    assert again.sha256 == done.sha256
    assert await downloaded(customer, file_id) == content


async def test_a_range_is_downloaded_alone(server: Running, customer: Api) -> None:
    content = content_of(2 * CHUNK + 5)
    file_id = (await clean(server, customer, content)).file_id
    for offset, length in ((0, 1), (CHUNK - 1, 2), (CHUNK, 0), (len(content) - 1, 10), (len(content), 0)):
        expected = content[offset : offset + length] if length else content[offset:]
        assert await downloaded(customer, file_id, offset, length) == expected
    refused = await refusal(downloaded(customer, file_id, len(content) + 1))
    assert (refused.code.name, refused.reason) == ("OUT_OF_RANGE", "RANGE_INVALID")
    assert refused.metadata == {"size_bytes": str(len(content))}


async def test_an_upload_continues_where_it_broke(customer: Api) -> None:
    """What arrived before the break is stored, and the chunks after it follow."""
    content = content_of(6 * CHUNK)
    file_id = (await created(customer, len(content))).file.file_id
    sending = chunks(file_id, content)
    stub = customer.channel.stream_unary(
        "/backroom.files.v1.FileService/WriteChunks",
        pb.WriteChunksRequest.SerializeToString,
        pb.WriteChunksResponse.FromString,
    )
    call = stub(metadata=(("authorization", f"Bearer {customer.token}"),))
    for _ in range(3):
        await call.write(next(sending))
    await asyncio.sleep(0.2)
    call.cancel()
    upload = await eventually(lambda: got(customer, file_id), lambda upload: upload.received_bytes == 3 * CHUNK)
    await written(customer, file_id, content, upload.received_bytes)
    await customer.files.CompleteUpload(complete(file_id, content))
    assert (await found(customer, file_id)).sha256 == sha256_of(content)


async def test_a_slow_senders_bytes_are_stored_as_they_come(customer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are, and while the stream is open."""
    monkeypatch.setattr(receiving, "PIECE_SECONDS", 0.0)
    content = content_of(40)
    file_id = (await created(customer, len(content))).file.file_id

    async def slowly() -> AsyncIterator[pb.WriteChunksRequest]:
        for number, chunk in enumerate(chunks(file_id, content, size=10)):
            yield chunk
            if number in (1, 2):
                await eventually(lambda: got(customer, file_id), lambda upload: upload.received_bytes >= 10)

    upload = (await customer.files.WriteChunks(slowly())).upload
    assert upload.received_bytes == len(content)
    await customer.files.CompleteUpload(complete(file_id, content))


async def test_what_cannot_be_stored_is_refused_at_once(own_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is full; nothing is lost of what was stored before, and the upload goes on."""
    customer, content = await own_server.sign_in("customer"), content_of(8 * CHUNK)
    file_id = (await created(customer, len(content))).file.file_id
    await written(customer, file_id, content[:CHUNK])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder._Writing, "append", full)
        refused = await refusal(written(customer, file_id, content, CHUNK))
    assert (refused.code.name, refused.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert refused.retry_after
    assert (await got(customer, file_id)).received_bytes == CHUNK
    await written(customer, file_id, content, CHUNK)
    await customer.files.CompleteUpload(complete(file_id, content))
    told = [line for line in own_server.log if line["event"].startswith("storage_")]
    assert [line["event"] for line in told] == ["storage_unavailable", "storage_available"]
    assert told[0]["why"] == f"{FILES_FOLDER}: No space left on device"


async def test_a_wrong_offset_is_answered_with_ours(customer: Api) -> None:
    """Also one of what was received already, and in the middle of a stream, of which the chunks before it stay."""
    content = content_of(4 * CHUNK)
    file_id = (await created(customer, len(content))).file.file_id
    await written(customer, file_id, content[:CHUNK])
    for offset in (0, CHUNK + 1, 3 * CHUNK):
        refused = await refusal(written(customer, file_id, content, offset))
        assert (refused.code.name, refused.reason) == ("ABORTED", "OFFSET_MISMATCH")
        assert refused.metadata == {"offset": str(CHUNK)}
    first, second, third = [*chunks(file_id, content, CHUNK)]
    del second
    refused = await refusal(customer.files.WriteChunks(iter([first, third])))
    assert refused.metadata == {"offset": str(2 * CHUNK)}
    assert (await got(customer, file_id)).received_bytes == 2 * CHUNK


async def test_of_two_writers_at_one_offset_one_wins_and_the_bytes_are_right(customer: Api) -> None:
    """The loser is told where to continue."""
    content = content_of(2 * CHUNK)
    for _ in range(2):
        file_id = (await created(customer, len(content))).file.file_id
        answers = await asyncio.gather(*(written(customer, file_id, content) for _ in range(4)), return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in answers) == 1
        for each in answers:
            assert not isinstance(each, BaseException) or isinstance(each, grpc.aio.AioRpcError)
        done = (await customer.files.CompleteUpload(complete(file_id, content))).file
        assert done.sha256 == sha256_of(content)


async def test_a_damaged_chunk_is_refused_and_those_before_it_stay(customer: Api) -> None:
    content = content_of(2 * CHUNK)
    file_id = (await created(customer, len(content))).file.file_id
    first, second = [*chunks(file_id, content)]
    second.data = second.data[:-1] + bytes([second.data[-1] ^ 1])
    refused = await refusal(customer.files.WriteChunks(iter([first, second])))
    assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "CHUNK_DAMAGED")
    assert refused.metadata == {"offset": str(CHUNK)}
    assert (await got(customer, file_id)).received_bytes == CHUNK


async def test_more_than_the_upload_has_is_refused(customer: Api) -> None:
    file_id = (await created(customer, 10)).file.file_id
    refused = await refusal(written(customer, file_id, b"x" * 11))
    assert (refused.code.name, refused.reason) == ("OUT_OF_RANGE", "SIZE_EXCEEDED")
    assert refused.metadata == {"size_bytes": "10"}


async def test_an_upload_is_completed_with_its_size_and_its_sha256_alone(customer: Api) -> None:
    """With the right ones it is, after all refusals."""
    content = content_of(100)
    file_id = (await created(customer, 100)).file.file_id
    refused = await refusal(customer.files.CompleteUpload(complete(file_id, content)))
    assert (refused.reason, refused.metadata) == ("UPLOAD_INCOMPLETE", {"received_bytes": "0", "size_bytes": "100"})
    await written(customer, file_id, content)
    refused = await refusal(customer.files.CompleteUpload(complete(file_id, content[:-1])))
    assert (refused.reason, refused.metadata) == ("SIZE_MISMATCH", {"size_bytes": "100"})
    refused = await refusal(customer.files.CompleteUpload(complete(file_id, content[::-1])))
    assert (refused.reason, refused.metadata) == ("SHA256_MISMATCH", {"sha256": sha256_of(content)})
    done = (await customer.files.CompleteUpload(complete(file_id, content))).file
    assert done.state == files_pb2.FILE_STATE_STORED


async def test_completing_again_returns_the_file(customer: Api) -> None:
    """With the same request_id, with another one, and by several at the same time; it counts once."""
    content = content_of(1000)
    file_id = (await created(customer, len(content))).file.file_id
    await written(customer, file_id, content)
    requests = [complete(file_id, content) for _ in range(4)]
    answers = await asyncio.gather(*map(customer.files.CompleteUpload, requests))
    again = await customer.files.CompleteUpload(requests[0])
    assert {answer.file.SerializeToString() for answer in (*answers, again)} == {again.file.SerializeToString()}
    refused = await refusal(customer.files.CompleteUpload(complete(file_id, content[::-1])))
    assert refused.reason == "SHA256_MISMATCH"
    refused = await refusal(got(customer, file_id))
    assert (refused.reason, refused.metadata) == ("FILE_STATE_CONFLICT", {"state": "stored"})
    refused = await refusal(written(customer, file_id, content))
    assert refused.reason == "FILE_STATE_CONFLICT"


_DECEIVING = (
    *("..", ".", "../../etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "a\x7fb", "a\u2028b"),
    *("invoice\u202egpj.exe", "\u200ehidden", "a\u2066b", "zero\u200bwidth", "x" * 10_000, "", "   "),
)
_HONEST = ("Ünïcode 文件.png", "عقد.pdf", "👩\u200d💻.txt", "x" * 255, "a..b", "CON", "-rf")


async def test_a_name_that_deceives_is_refused(customer: Api) -> None:
    """One that leads out of a folder, that has characters which nobody sees, or that is too long."""
    for name in _DECEIVING:
        refused = await refusal(created(customer, 1, name))
        assert (refused.code.name, refused.reason, [*refused.fields]) == (
            "INVALID_ARGUMENT",
            "FIELD_INVALID",
            ["name"],
        ), name


async def test_any_other_name_is_kept_as_it_is(customer: Api) -> None:
    """It names nothing on the server."""
    for name in _HONEST:
        assert (await created(customer, 1, name)).file.name == name


async def test_another_callers_upload_is_none(server: Running, customer: Api, admin: Api) -> None:
    """Whoever reads everyone's files cannot write into their uploads either."""
    other = await server.sign_in("customer")
    content = content_of(100)
    file_id = (await created(customer, 100)).file.file_id
    for api in (other, admin):
        for refused in (
            await refusal(got(api, file_id)),
            await refusal(written(api, file_id, content)),
            await refusal(api.files.CompleteUpload(complete(file_id, content))),
        ):
            assert refused.reason == "FILE_NOT_FOUND"


async def test_all_messages_of_a_stream_name_one_upload(customer: Api) -> None:
    """What came before another one stays."""
    content = content_of(20)
    file_id = (await created(customer, 20)).file.file_id
    first, second = [*chunks(file_id, content, size=10)]
    assert (await refusal(customer.files.WriteChunks(iter([])))).reason == "FIELD_INVALID"
    second.file_id = fresh()
    refused = await refusal(customer.files.WriteChunks(iter([first, second])))
    assert (refused.reason, refused.metadata) == ("FIELD_INVALID", {"message_number": "2"})
    assert (await got(customer, file_id)).received_bytes == 10
