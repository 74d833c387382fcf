"""Handles: unique whatever their case, found, remembered, and never given to anybody else."""

import asyncio

import pytest

from tests.fixtures.servers import Api, Running, refusal
from tests.identity.ending import deleted, named, person, profile
from tests.identity.people import granting, me, outcome


async def test_a_person_sets_a_handle_and_is_found_by_it(server: Running, customer: Api) -> None:
    """In any case, and with the name to show; by the id, too."""
    given = await named(customer, "Ada-Lovelace")
    assert (given.handle, given.account_id) == ("ada-lovelace", str(customer.account_id))
    stranger = await server.sign_in("customer")
    assert await profile(stranger, handle="ADA-lovelace") == given
    assert await profile(stranger, account_id=str(customer.account_id)) == given
    assert (await me(customer)).user.handle == "ada-lovelace"


@pytest.mark.parametrize(
    "handle", ["ab", "a" * 31, "-ada", "ada-", "a--da", "1ada", "ada_l", "ada l", "\u0430da", "ada\n", "ad\u0430"]
)
async def test_what_could_be_mistaken_for_another_handle_is_refused(customer: Api, handle: str) -> None:
    """ASCII letters and digits alone: a Cyrillic letter looks like a Latin one."""
    assert (await refusal(named(customer, handle))).fields.keys() == {"handle"}


@pytest.mark.parametrize("handle", ["admin", "Support", "back-room", "no-reply", "R00t", "adm1n"])
async def test_reserved_words_are_refused(customer: Api, handle: str) -> None:
    """Also written with dashes, capitals, or digits that look like letters."""
    assert await outcome(named(customer, handle)) == "HANDLE_RESERVED"


async def test_a_handle_is_one_accounts_alone_whatever_its_case(server: Running, customer: Api) -> None:
    other = await server.sign_in("customer")
    await named(customer, "grace")
    assert await outcome(named(other, "GRACE")) == "HANDLE_TAKEN"


async def test_of_many_who_take_a_handle_at_once_one_has_it(server: Running) -> None:
    """The others are told that it is taken."""
    callers = [await server.sign_in("customer") for _ in range(6)]
    outcomes = await asyncio.gather(*(outcome(named(each, "wanted")) for each in callers))
    assert sorted(outcomes) == ["HANDLE_TAKEN"] * 5 + ["done"]


async def test_an_earlier_handle_stays_its_owners(server: Running, customer: Api) -> None:
    """It finds the account under its new handle, nobody else can take it, and its owner can have it again."""
    other = await server.sign_in("customer")
    await named(customer, "before")
    await named(customer, "afterwards")
    assert (await profile(other, handle="before")).handle == "afterwards"
    assert await outcome(named(other, "before")) == "HANDLE_TAKEN"
    assert (await named(customer, "before")).handle == "before"


async def test_handles_are_not_to_be_collected(customer: Api) -> None:
    """Five of one account; an earlier one of these can be set again."""
    for number in range(5):
        await named(customer, f"name{number}")
    assert await outcome(named(customer, "name5")) == "TOO_MANY_HANDLES"
    assert (await named(customer, "name0")).handle == "name0"


async def test_an_administrator_sets_the_handles_of_others(server: Running, admin: Api, customer: Api) -> None:
    """Nobody else does, whether there is such an account or not; nor of who may do more than the administrator."""
    assert (await named(admin, "renamed", customer.account_id)).account_id == str(customer.account_id)
    assert await outcome(named(customer, "mine", admin.account_id)) == "ACCOUNT_NOT_PERMITTED"
    await admin.access.GrantRole(granting(customer.account_id, "manager"))
    limited = await server.sign_in("admin")
    assert await outcome(named(limited, "renamed2", customer.account_id)) in ("done", "PERMISSION_NOT_HELD")


async def test_the_handle_of_a_deleted_account_is_given_to_nobody(server: Running) -> None:
    """And finds nobody."""
    ada, other = await person(server), await server.sign_in("customer")
    await named(ada, "gone")
    await deleted(ada)
    assert await outcome(profile(other, handle="gone")) == "PROFILE_NOT_FOUND"
    assert await outcome(named(other, "gone")) == "HANDLE_TAKEN"
