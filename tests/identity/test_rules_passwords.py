"""Which passwords are refused as common."""

import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.errors import FieldInvalid
from server.identity.credentials.passwords import Passwords
from server.identity.errors import PasswordTooWeak
from server.identity.rules.passwords import account_words, is_common, normalized
from tests.identity.people import NEW_PASSWORD, PASSWORD

COMMON = frozenset({"password", "qwerty123456", "summer"})
OWN = account_words("ada.lovelace@example.com")
EXTRA = "x-!Lq7"

REFUSED = [
    "qwerty123456",
    "QWERTY123456",
    "passwordpassword",
    "PasswordPassword",
    "passwordpasswor",
    "password20261",
    "20261password",
    "password!!!!!",
    "-----password",
    "summer000000",
    "xxxxxxxxxxxx",
    "abcabcabcabc",
    "ada.lovelace@example.com",
    "ADA.LOVELACE",
    "ada.lovelace1",
]
TAKEN = ["password-reset", "summerandwinter", "ada and lovelace", "correct horse battery", "passwordpassphrase"]


@pytest.mark.parametrize("password", REFUSED)
def test_a_common_password_is_refused(password: str) -> None:
    """One that many people use, in any case, a common one stretched to the length, and the account's own address."""
    assert is_common(password, COMMON, OWN)


@pytest.mark.parametrize("password", TAKEN)
def test_a_password_that_contains_a_common_one_is_accepted(password: str) -> None:
    """Several words in a row make a good password."""
    assert not is_common(password, COMMON, OWN)


@given(st.sampled_from(sorted(COMMON)), st.integers(2, 8))
def test_a_repeated_common_password_is_refused(word: str, times: int) -> None:
    """However often."""
    assert is_common(word * times, COMMON, ())


@given(st.sampled_from(sorted(COMMON)), st.text("0123456789", max_size=100))
def test_a_common_password_with_digits_is_refused(word: str, digits: str) -> None:
    """However many, before it or after it."""
    assert is_common(word + digits, COMMON, ())
    assert is_common(digits + word, COMMON, ())


@given(st.text(max_size=128))
def test_case_makes_no_difference(password: str) -> None:
    """A password that is refused in one case is refused in all."""
    assert is_common(password.casefold(), COMMON, OWN) == is_common(password.casefold().casefold(), COMMON, OWN)


@given(st.text(min_size=1, max_size=128))
def test_any_text_gets_a_decision(password: str) -> None:
    """Whatever is entered."""
    assert is_common(password, COMMON, OWN) in (True, False)


EASY = [
    *("1q2w3e4r5t6y", "123456789101112", "letmeinletmein", "iloveyou2026", "P4SSW0RDP4SSW0RD"),
    *("correcthorsebatterystaple", "Correct-Horse Battery, Staple!", "Welcome2026!", "backroombackroom"),
    *("Backroom2026!", "Tr0ub4dour&3", "iloveyouforever", "qwertyuiopas", "Pa$$w0rd2026", "adaadaada2026"),
    # Full-width letters, a ligature, and circled digits are normalized to plain ones.
    *("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44" * 2, "\ufb01refightersfire", "\u2460\u2461\u2462" * 8),
]
"""Some of these are on the list, some are recognized only by the estimator."""


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


@pytest.mark.parametrize("password", EASY)
async def test_a_password_that_people_use_is_refused(passwords: Passwords, password: str) -> None:
    """The refusal names the field, and never the password."""
    with pytest.raises(PasswordTooWeak) as raised:
        await passwords.refuse_weak(password, "ada@example.com", "new_password")
    assert [field.path for field in raised.value.fields] == ["new_password"]
    assert password not in str(raised.value.__dict__)


async def test_the_list_has_what_the_estimator_misses(passwords: Passwords) -> None:
    """So both are needed: this password is on the list, and has a good score."""
    with pytest.raises(PasswordTooWeak):
        await passwords.refuse_weak("1q2w3e4r5t6y7u8i9o", "ada@example.com", "password")


async def test_good_passwords_are_accepted(passwords: Passwords) -> None:
    """Those of the tests, for a start, and long ones whose end is not evaluated."""
    for password in (PASSWORD, NEW_PASSWORD, "tr0ub4dor & 3 horses", "Wx7-qLm2-Vb9k", (EXTRA + "vast Tahoe!") * 7):
        await passwords.refuse_weak(password, "ada@example.com", "password")


async def test_characters_are_counted_after_normalization(passwords: Passwords) -> None:
    """Six letters with combining accents are six."""
    with pytest.raises(FieldInvalid):
        await passwords.refuse_weak("u\u0308" * 6, "ada@example.com", "password")


@pytest.mark.parametrize("text", ["4@8({[<369!1|70$5+7%2" * 7, "x" + EXTRA * 21, "\ufdfa" * 128, "a\u0300" * 64])
async def test_no_password_takes_long_to_judge(passwords: Passwords, text: str) -> None:
    """Not even one of digits and signs that stand for letters, all of whose meanings the estimator tries."""
    with suppress(PasswordTooWeak):
        await passwords.refuse_weak("something else", "ada@example.com", "password")  # loaded only once
    began = time.process_time()
    with suppress(PasswordTooWeak):
        await passwords.refuse_weak(text[:128], "ada@example.com", "password")
    assert time.process_time() - began < 2


@given(st.text(min_size=1, max_size=128))
def test_normalizing_twice_equals_normalizing_once(password: str) -> None:
    """Whatever is entered, and in any Unicode form."""
    forms = {normalized(unicodedata.normalize(form, password)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {normalized(normalized(password))} == {normalized(password)}
