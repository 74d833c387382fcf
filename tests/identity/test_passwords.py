"""How passwords are hashed and checked."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from server.identity.passwords import Passwords
from tests.identity.people import PASSWORD


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_password_fits_its_own_hash_alone(passwords: Passwords) -> None:
    """The right one is told from one that differs in a single letter's case."""
    known = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, known)
    assert not await passwords.verify(PASSWORD.capitalize(), known)
    assert not await passwords.verify("", known)


async def test_a_hash_is_argon2id_by_the_cheat_sheet_and_salted(passwords: Passwords) -> None:
    """19 MiB, 2 passes, 1 lane, and never the same hash twice."""
    one, two = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two


async def test_nothing_fits_where_there_is_no_hash(passwords: Passwords) -> None:
    """Not even the password that the stand-in was made of."""
    assert not await passwords.verify(PASSWORD, None)
    assert not await passwords.verify("the password of no account", None)


@pytest.mark.parametrize("known", ["none", "$argon2id$v=19$m=1", ""])
async def test_a_hash_that_is_none_fits_nothing(passwords: Passwords, known: str) -> None:
    """What cannot be read as a hash refuses, and does not raise."""
    assert not await passwords.verify(PASSWORD, known)


async def test_the_work_is_the_same_where_there_is_no_hash(passwords: Passwords, evaluations: "Counter[str]") -> None:
    """From the very first question on, one evaluation answers for an account and for none."""
    known = await passwords.hash(PASSWORD)
    spent = []
    for held in (known, None, None, known):
        evaluations.clear()
        await passwords.verify("not the password", held)
        spent.append(evaluations.total())
    assert spent == [1, 1, 1, 1]
