"""The cipher suites of both sides; it imports nothing, since gRPC's core reads them as it is loaded."""

CIPHER_SUITES = ":".join(
    f"ECDHE-{signed}-{sealed}"
    for signed in ("ECDSA", "RSA")
    for sealed in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""Of TLS 1.2, in OpenSSL's names: those that seal, under keys that are forgotten. TLS 1.3 has no others."""
