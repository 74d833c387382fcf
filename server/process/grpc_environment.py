"""What gRPC's core reads of the environment as it is loaded, and the cipher suites of both sides.

Nothing of gRPC is imported here, since it would be loaded by that.
"""

import os

CIPHER_SUITES = ":".join(
    f"ECDHE-{signed}-{sealed}"
    for signed in ("ECDSA", "RSA")
    for sealed in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""Of TLS 1.2, in OpenSSL's names: those that seal, under keys that are forgotten. TLS 1.3 has no others."""


def configure_grpc() -> None:
    """To be called before gRPC's core is imported; what the environment says already stays."""
    # What its core has to say reaches us as errors; its own lines on the screen would only repeat them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Its fork handlers can crash a child process that is started, before that becomes another program.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", CIPHER_SUITES)
