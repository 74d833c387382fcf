"""What a link permits, signed, so that no server has to store links."""

import json
from collections.abc import Sequence
from typing import Any

from server.frame import base64url
from server.frame.errors import TokenInvalid
from server.frame.sealing import MasterKeys

_MAX_CHARACTERS = 2048


class SignedLinks:
    """Writes and reads the signed part of links of one purpose; whoever has a link can read what it holds."""

    def __init__(self, master_keys: MasterKeys, purpose: str) -> None:
        self._keys = master_keys
        self._purpose = purpose

    def written(self, content: Sequence[str | int]) -> str:
        """Content as it stands in a URL, in letters, digits, `-`, `_` and a dot; the same each time."""
        said = json.dumps(content, separators=(",", ":")).encode()
        return f"{base64url.encoded(said)}.{base64url.encoded(self._keys.sign(self._purpose, said))}"

    def read(self, text: str) -> Sequence[Any]:
        """What was written; raises TokenInvalid where the signature is not ours, or is of another purpose."""
        content, _, signature = text.partition(".")
        try:
            if len(text) > _MAX_CHARACTERS or not text.isascii():
                raise TokenInvalid
            said = base64url.decoded(content)
            if not self._keys.signed(self._purpose, said, base64url.decoded(signature)):
                raise TokenInvalid
        except ValueError:
            raise TokenInvalid from None
        read: Sequence[Any] = json.loads(said)
        return read
