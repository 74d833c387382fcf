"""Who may send webhooks here, as the setting says it."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMES = ("standard", "stripe", "github")

MAX_SECRETS = 2
"""The new one and the old one, while a sender changes from one to the other."""

_NAME = re.compile(r"[a-z0-9-]{1,40}")
_SECRET = re.compile(r"[!-~]([ -~]{0,510}[!-~])?")
_STANDARD = "whsec_"


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends webhooks, and by what they are known.

    Raises ValueError where it is malformed, whose text quotes neither a secret nor what may be one.
    """

    name: str
    scheme: str
    """How its requests are signed: one of SCHEMES."""
    secrets: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a source's name must be 1 to 40 of a-z, 0-9 and -")
        if self.scheme not in SCHEMES:
            raise ValueError(f"{self.name}.scheme must be one of {', '.join(SCHEMES)}")
        if not 1 <= len(self.secrets) <= MAX_SECRETS:
            raise ValueError(f"{self.name}.secrets must be one or two")
        for place, secret in enumerate(self.secrets):
            if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
                raise ValueError(
                    f"{self.name}.secrets[{place}] must be at most 512 characters of ASCII, and no blank at either end"
                )
            if self.scheme == "standard" and not _is_standard(secret):
                raise ValueError(f"{self.name}.secrets[{place}] must be {_STANDARD} and base64")


def read_sources(text: str) -> tuple[Source, ...]:
    """Sources out of JSON, such as {"github": {"scheme": "github", "secrets": ["new", "old"]}}.

    Raises ValueError, as Source does.
    """
    try:
        given = json.loads(text, object_pairs_hook=_distinct)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("must be JSON") from None
    if not isinstance(given, Mapping):
        raise ValueError("must be an object of sources by their names")  # noqa: TRY004 - it is the text that is wrong
    return tuple(_source(name, value) for name, value in given.items())


def _source(name: str, value: object) -> Source:
    shaped = isinstance(value, Mapping) and set(value) == {"scheme", "secrets"}
    if not isinstance(value, Mapping) or not shaped or not isinstance(value["secrets"], list):
        raise ValueError("each source must be an object of a scheme and a list of secrets")
    return Source(name, value["scheme"], tuple(value["secrets"]))


def _is_standard(secret: str) -> bool:
    """Its padding may be missing; what is not base64 would be left out of the key without a word."""
    encoded = secret.removeprefix(_STANDARD)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return False
    return secret.startswith(_STANDARD) and bool(key)


def _distinct(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    """A name that is written twice would lose its first value without a word."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("must not hold a name twice")
    return dict(pairs)
