"""Which passwords are refused for being common."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.identity.errors import PasswordCommon
from server.identity.passwords import Passwords
from server.identity.rules.passwords import is_common, own_words
from tests.identity.people import NEW_PASSWORD, PASSWORD

COMMON = frozenset({"password", "qwerty123456", "summer"})
OWN = own_words("ada.lovelace@example.com")
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
    """One that many use in any case of letters, a common one stretched to the length, and the account's own address."""
    assert is_common(password, COMMON, OWN)


@pytest.mark.parametrize("password", TAKEN)
def test_a_password_is_taken_that_only_holds_a_common_one(password: str) -> None:
    """Words behind one another are what a good password is made of."""
    assert not is_common(password, COMMON, OWN)


@given(st.sampled_from(sorted(COMMON)), st.integers(2, 8))
def test_a_common_password_is_no_better_for_being_repeated(word: str, times: int) -> None:
    """However often."""
    assert is_common(word * times, COMMON, ())


@given(st.sampled_from(sorted(COMMON)), st.text("0123456789", max_size=100))
def test_a_common_password_is_no_better_for_digits(word: str, digits: str) -> None:
    """However many, before it or behind it."""
    assert is_common(word + digits, COMMON, ())
    assert is_common(digits + word, COMMON, ())


@given(st.text(max_size=128))
def test_case_makes_no_difference(password: str) -> None:
    """What is refused in one case is refused in all."""
    assert is_common(password.casefold(), COMMON, OWN) == is_common(password.casefold().casefold(), COMMON, OWN)


@given(st.text(min_size=1, max_size=128))
def test_any_text_is_decided(password: str) -> None:
    """Whatever is typed."""
    assert is_common(password, COMMON, OWN) in (True, False)


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


@pytest.mark.parametrize(
    "password", ["1q2w3e4r5t6y", "123456789101112", "letmeinletmein", "iloveyou2026", "P4SSW0RDP4SSW0RD"]
)
def test_the_list_that_comes_along_knows_what_people_use(passwords: Passwords, password: str) -> None:
    """The refusal names the field, and never the password."""
    with pytest.raises(PasswordCommon) as raised:
        passwords.refuse_common(password, "ada@example.com", "new_password")
    assert [field.path for field in raised.value.fields] == ["new_password"]
    assert password not in str(raised.value.__dict__)


def test_the_list_leaves_good_passwords_alone(passwords: Passwords) -> None:
    """Those of the tests, for a start."""
    for password in (PASSWORD, NEW_PASSWORD, "tr0ub4dor & 3 horses", "Wx7-qLm2-Vb9k"):
        passwords.refuse_common(password, "ada@example.com", "password")


def test_a_look_into_the_list_takes_no_time_that_counts(passwords: Passwords) -> None:
    """Not even for the longest password."""
    passwords.refuse_common("x" + EXTRA * 21, "ada@example.com", "password")
    began = time.process_time()
    for _ in range(100):
        passwords.refuse_common("x" + EXTRA * 21, "ada@example.com", "password")
    assert time.process_time() - began < 1
