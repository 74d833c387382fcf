from collections.abc import Callable, Collection

Known = Callable[[str], bool]

SHORTEST_BASE = 4
"""A common password of fewer characters makes a longer one no easier to guess."""


def is_common(password: str, common: Collection[str], own: Collection[str]) -> bool:
    """Whether a password is one that many use, or that is plain from the account it is for, in any case of letters.

    It is where it is one of `common` (case-folded) or one of the account's `own` words, or such a word that is merely
    repeated, or that has only digits, or one repeated character, before or behind it.
    """
    folded = password.casefold()
    words = {word.casefold() for word in own}

    def known(text: str) -> bool:
        return text in common or text in words

    return known(folded) or _is_repeated(folded, known) or _is_lengthened(folded, known)


def own_words(email: str) -> tuple[str, ...]:
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
