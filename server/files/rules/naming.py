"""Which names files have: what is shown to people, and never a path."""

from unicodedata import category, normalize

from server.frame.errors import FieldInvalid

_MAX_CHARACTERS = 255
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Without which some languages, and some emoji, cannot be written."""


def checked_name(name: str) -> str:
    """A file's name in one form; raises FieldInvalid.

    One that looks like another, by characters that are not seen or that turn the direction of the text, is refused;
    and one that would lead out of a folder, should somebody store the file under it.
    """
    found = normalize("NFC", name).strip()
    if not 0 < len(found) <= _MAX_CHARACTERS:
        raise FieldInvalid.of("name", f"must be 1 to {_MAX_CHARACTERS} characters, not all of them spaces")
    if any(category(each) in ("Cc", "Cf", "Zl", "Zp") and each not in _JOINERS for each in found):
        raise FieldInvalid.of("name", "must not contain characters that are not seen or that turn the text's direction")
    if found in (".", "..") or "/" in found or "\\" in found:
        raise FieldInvalid.of("name", "must be the name alone, without a folder's")
    return found
