"""Certificates made for a test: an authority, and what it issues."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_SIGNS_CERTIFICATES = x509.KeyUsage(
    **dict.fromkeys(_USES, False), key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False
)


@dataclass(frozen=True)
class Paper:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


def authority(name: str = "test authority") -> Paper:
    key = ec.generate_private_key(ec.SECP256R1())
    return _made(name, key, key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), authority=True)


def issued(by: Paper, *, name: str = "localhost", address: str = "127.0.0.1") -> Paper:
    """For this name and this address, by an authority."""
    names = [x509.DNSName(name), x509.IPAddress(ip_address(address))]
    key = ec.generate_private_key(ec.SECP256R1())
    return _made(name, key, by.key, by.certificate.subject, names)


def _made(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signing: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    names: list[x509.GeneralName] | None = None,
    *,
    authority: bool = False,
) -> Paper:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        # Python 3.13 and newer validate certificates by RFC 5280, which requires these.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if authority:
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Paper(builder.sign(signing, hashes.SHA256()), key)


@dataclass(frozen=True)
class Files:
    """The files of a server's certificate."""

    certificate: Path
    key: Path
    client_ca: Path

    def hold(self, paper: Paper) -> None:
        """Writes a certificate and its key there, one after the other."""
        self.key.write_bytes(paper.key_pem)
        self.certificate.write_bytes(paper.pem)


def files_in(folder: Path) -> Files:
    return Files(folder / "chain.pem", folder / "key.pem", folder / "clients.pem")
