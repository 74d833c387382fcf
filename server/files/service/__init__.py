"""The use cases of files; each public method is one transaction, but for those that stream."""

from server.files.service.assembling import Assembling
from server.files.service.digests import Digests
from server.files.service.files import Download, Files
from server.files.service.lending import UploadLinks
from server.files.service.receiving import Receiving
from server.files.service.scanning import Scanning
from server.files.service.showing import Thumbnails
from server.files.service.sweeping import Sweeping
from server.files.service.uploading import Uploads

__all__ = [
    "Assembling",
    "Digests",
    "Download",
    "Files",
    "Receiving",
    "Scanning",
    "Sweeping",
    "Thumbnails",
    "UploadLinks",
    "Uploads",
]
