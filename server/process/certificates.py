"""The server's certificate, read again whenever its files change."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import grpc
import structlog

from server.process.grpc_environment import CIPHER_SUITES

_Stamp = tuple[tuple[int, int, int], ...]


class CertificatesUnreadable(Exception):
    """The files do not contain a certificate and its key; the text quotes nothing of what they do contain."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: _Stamp
    """What the files looked like when they were read."""
    configuration: grpc.ServerCertificateConfiguration
    context: ssl.SSLContext


class Certificates:
    """A chain and its key, for new connections; established ones keep the one that they began with.

    New files that are broken or half written change nothing: the last good ones stay, and the log says so once.
    Each new connection reads it, on threads of gRPC's own; where nothing has changed, that is a look at the files'
    dates.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        client_ca: Path | None = None,
    ) -> None:
        """`client_ca` issued the certificates of all who may connect by gRPC; raises CertificatesUnreadable."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._logger = logger
        self._lock = Lock()
        self._refused: _Stamp | None = None
        self._unreadable = False
        try:
            self._loaded = self._given = self._load()
        except OSError as error:
            raise CertificatesUnreadable(f"{error.filename or certificate}: {error.strerror}") from None

    def credentials(self) -> grpc.ServerCredentials:
        """For the gRPC side: TLS 1.2 or newer, and mutual where there is a CA of clients."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.configuration,
            self._configuration,  # type: ignore[arg-type]  # the stubs do not know that it may return None
            require_client_authentication=self._client_ca is not None,
        )

    def context(self) -> ssl.SSLContext:
        """For the next connection of the HTTP side."""
        return self._current().context

    def _configuration(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC calls for each new connection; None means what it has."""
        current = self._current()
        if current is self._given:
            return None
        self._given = current
        return current.configuration

    def _current(self) -> _Loaded:
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp not in (self._loaded.stamp, self._refused):
                    self._renew(stamp)
                self._unreadable = False
            except OSError as error:
                # A file is being replaced, or no descriptor is left to read it by: the next connection reads again.
                if not self._unreadable:
                    self._logger.warning("certificate_unreadable", why=error.strerror or str(error))
                self._unreadable = True
            return self._loaded

    def _renew(self, stamp: _Stamp) -> None:
        try:
            self._loaded = self._load()
            self._refused = None
            self._logger.info("certificate_renewed", file=str(self._certificate))
        except CertificatesUnreadable as error:
            self._refused = stamp
            self._logger.warning("certificate_rejected", why=str(error))

    def _load(self) -> _Loaded:
        """Reads the files; raises OSError where they change meanwhile, or cannot be read any more."""
        try:
            stamp = self._stamp()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(CIPHER_SUITES)
            # Without a password given, OpenSSL would prompt for one at the terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
            authorities = self._authorities()
            pair = (self._key.read_bytes(), self._certificate.read_bytes())
            configuration = grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)
            if self._stamp() != stamp:
                raise OSError("the files change")
        except ssl.SSLError as error:
            raise CertificatesUnreadable(f"{self._certificate}, {self._key}: {error.reason or 'no PEM'}") from None
        return _Loaded(stamp, configuration, context)

    def _authorities(self) -> bytes | None:
        if self._client_ca is None:
            return None
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self._client_ca)
        return self._client_ca.read_bytes()

    def _stamp(self) -> _Stamp:
        files = [path for path in (self._certificate, self._key, self._client_ca) if path is not None]
        found = [path.stat() for path in files]
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)
