"""base64url without padding (RFC 4648, section 5; RFC 7515, section 2), as tokens are written."""

import base64


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Raises ValueError where it contains anything else, or is not what `encoded` writes for these bytes."""
    content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encoded(content) != text:
        raise ValueError("not written in the one form")
    return content
