"""Why files refuses."""

from server.frame.errors import Code, Refusal


class FileNotFound(Refusal):
    """No file that you can see has this id."""

    code = Code.NOT_FOUND


class NotTheOwner(Refusal):
    """Only the file's owner, and who has the permission {permission}, may do this."""

    code = Code.PERMISSION_DENIED


class QuotaExceeded(Refusal):
    """Your files would exceed your quota of {quota_bytes} bytes: they have {used_bytes} already."""

    code = Code.RESOURCE_EXHAUSTED


class OffsetMismatch(Refusal):
    """The chunk does not continue what was received: continue from offset {offset}."""

    code = Code.ABORTED


class ChunkDamaged(Refusal):
    """The chunk does not have its crc32c: it was damaged on the way. Send it again from offset {offset}."""

    code = Code.INVALID_ARGUMENT


class SizeExceeded(Refusal):
    """The chunks exceed the upload's size of {size_bytes} bytes."""

    code = Code.OUT_OF_RANGE


class UploadFragmented(Refusal):
    """The upload was received in too many small pieces: delete it, and send larger ones."""

    code = Code.RESOURCE_EXHAUSTED


class UploadIncomplete(Refusal):
    """Only {received_bytes} of {size_bytes} bytes were received."""

    code = Code.FAILED_PRECONDITION


class SizeMismatch(Refusal):
    """The upload has {size_bytes} bytes, and not as many as given."""

    code = Code.INVALID_ARGUMENT


class Sha256Mismatch(Refusal):
    """The bytes received have the SHA-256 {sha256}, and not the one given: delete the upload, and begin again."""

    code = Code.INVALID_ARGUMENT


class FileStateConflict(Refusal):
    """The file is {state}, which does not allow this."""

    code = Code.FAILED_PRECONDITION


class FileNotServed(Refusal):
    """The file is {state}: only clean files are served, which a scanner has found to be so."""

    code = Code.FAILED_PRECONDITION


class RangeInvalid(Refusal):
    """The range begins behind the file's end: it has {size_bytes} bytes."""

    code = Code.OUT_OF_RANGE


class LegalHold(Refusal):
    """The file is under legal hold and cannot be deleted."""

    code = Code.FAILED_PRECONDITION


class StorageUnavailable(Refusal):
    """The storage of the files' bytes does not respond: try again."""

    code = Code.UNAVAILABLE
    retry_after = 2.0


class ThumbnailNotFound(Refusal):
    """The file has no thumbnail: it is no image, or none that could be made smaller."""

    code = Code.NOT_FOUND


class ScannerMissing(Refusal):
    """This server has no scanner: set BACKROOM_FILES_SCANNER."""

    code = Code.FAILED_PRECONDITION


class ScannerNotResponding(Refusal):
    """The scanner does not respond: try again."""

    code = Code.UNAVAILABLE
    retry_after = 5.0
