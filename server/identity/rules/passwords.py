import unicodedata
from collections.abc import Callable, Collection

Known = Callable[[str], bool]

MIN_CHARACTERS = 12
"""In characters, of the normal form."""
STRONG_FROM = 3
"""The score of zxcvbn's that a password needs: more than 10^8 guesses."""
ESTIMATED = 24
"""How many characters of a password are held against the estimator: it takes 0.2 s at worst for these, and seconds for
128 of the figures and signs that stand for letters."""
_MAX_CHARACTERS = 256
"""How many characters of a normal form are looked at; a few characters have one that is many times as long."""
_FAMOUS = ("correcthorsebatterystaple",)
"""Passwords that are known for being good examples, by their letters alone."""
PLAIN = ("backroom",)
"""Words that everybody thinks of here."""
SHORTEST_BASE = 4
"""A common password of fewer characters makes a longer one no easier to guess."""


def is_common(password: str, common: Collection[str], own: Collection[str]) -> bool:
    """Whether a password is one that many use, or that is plain from the account it is for, in any case of letters.

    It is where it is one of `common` (case-folded) or one of the account's `own` words, or such a word that is merely
    repeated, or that has only digits, or one repeated character, before or behind it.
    """
    folded = password[:_MAX_CHARACTERS].casefold()
    if "".join(filter(str.isalpha, folded)) in _FAMOUS:
        return True
    words = {word.casefold() for word in own}

    def known(text: str) -> bool:
        return text in common or text in words

    return known(folded) or _is_repeated(folded, known) or _is_lengthened(folded, known)


def normalized(password: str) -> str:
    """The form that a password is hashed in, however it was typed (NFKC, as NIST SP 800-63B recommends)."""
    return unicodedata.normalize("NFKC", password)


def account_words(email: str) -> tuple[str, ...]:
    """What of an account is plain to everybody: its address, and the part before the @."""
    return (email, email.partition("@")[0])


def _is_repeated(text: str, known: Known) -> bool:
    """Whether it is a word, or a single character, over and over; the last time it may be cut off."""
    for size in range(1, len(text)):
        unit = text[:size]
        if (unit * (len(text) // size + 1))[: len(text)] == text and (size < SHORTEST_BASE or known(unit)):
            return True
    return False


def _is_lengthened(text: str, known: Known) -> bool:
    sizes = range(SHORTEST_BASE, len(text))
    return any(
        (_is_filling(text[size:]) and known(text[:size])) or (_is_filling(text[:-size]) and known(text[-size:]))
        for size in sizes
    )


def _is_filling(text: str) -> bool:
    return text.isdecimal() or text == text[0] * len(text)
