"""Secrets that somebody made up, or copied from an example, rather than had made at random."""

import base64
from itertools import pairwise

_FEWEST_DIFFERENT = 20
"""Different bytes of a key: of 32 random ones about 30 are, and fewer than 20 once in 10^12 keys."""
_SHORTEST_SECRET = 16
"""In characters, or in bytes where a secret is base64."""
_FEWEST_LETTERS = 6
"""Different characters of a secret."""
_STANDARD = "whsec_"


def is_guessable_key(key: bytes) -> bool:
    """Whether 32 bytes are hardly random: a text, a sequence, or the same few bytes over and over."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    typed = all(0x20 <= each < 0x7F for each in key)
    return typed or len(steps) == 1 or len(set(key)) < _FEWEST_DIFFERENT


def is_guessable_secret(scheme: str, secret: str) -> bool:
    """Whether whoever tries may forge what a sender signs with this."""
    said: bytes = secret.encode()
    if scheme == "standard":
        encoded = secret.removeprefix(_STANDARD)
        said = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return len(said) < _SHORTEST_SECRET or len(set(said)) < _FEWEST_LETTERS
