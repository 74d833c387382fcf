"""A password is the same in every Unicode form in which it is entered."""

import unicodedata

import pytest
from argon2 import PasswordHasher

from backroom.identity.v1 import identity_service_pb2 as pb
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    NEW_PASSWORD,
    changing,
    execute,
    kept,
    logged_in,
    logging_in,
    outcome,
    registered,
    registering,
    verified,
)

ADA = "ada@example.com"
COMPOSED = unicodedata.normalize("NFC", "Ångström über Škoda")
APART = unicodedata.normalize("NFD", COMPOSED)
FULL_WIDTH = "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in COMPOSED)

EASY = ["".join(chr(ord(each) + 0xFEE0) for each in "password1234"), "correcthorsebatterystaple", "Welcome2026!"]
EASY += ["backroombackroom"]


async def signs_in(api: Api, password: str) -> str:
    return await outcome(api.identity.Login(logging_in(ADA, password)))


@pytest.mark.parametrize("typed", [COMPOSED, APART, FULL_WIDTH])
async def test_a_password_signs_in_in_every_form(server: Running, typed: str) -> None:
    """As registered, as changed, and as set by mail."""
    api = server.anonymous
    forms = (COMPOSED, APART, FULL_WIDTH)
    await api.identity.Register(registering(password=typed))
    await verified(api)
    assert [await signs_in(api, form) for form in forms] == ["done"] * 3
    for form in forms:
        mine = Api(server.channel, (await logged_in(api, ADA, typed)).access_token)
        assert await outcome(mine.identity.ChangePassword(changing(form, typed))) == "done"
        assert await signs_in(api, form) == "done"
    await api.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
    token = await token_for(server.mailbox, ADA)
    await api.identity.ResetPassword(pb.ResetPasswordRequest(token=token, new_password=typed))
    assert [await signs_in(api, form) for form in forms] == ["done"] * 3


async def test_a_hash_of_an_unnormalized_password_works_and_is_replaced(full_cost: Running) -> None:
    """Hashes from before normalization accept the password as entered then, and after the sign-in in every form."""
    await registered(full_cost.anonymous)
    earlier = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(APART)
    await execute(full_cost.database, "UPDATE identity.accounts SET password_hash = :earlier", earlier=earlier)
    assert await signs_in(full_cost.anonymous, COMPOSED) == "CREDENTIALS_INVALID"
    assert await signs_in(full_cost.anonymous, APART) == "done"
    assert earlier not in await kept(full_cost.database, "identity.accounts")
    assert await signs_in(full_cost.anonymous, COMPOSED) == "done"
    assert await signs_in(full_cost.anonymous, APART) == "done"


@pytest.mark.parametrize("password", EASY)
async def test_an_easy_password_is_refused_wherever_one_is_set(server: Running, password: str) -> None:
    """When registered, changed and set by mail; the field is named, and the password does not change."""
    await registered(server.anonymous)
    mine = Api(server.channel, (await logged_in(server.anonymous)).access_token)
    await server.anonymous.identity.RequestPasswordReset(pb.RequestPasswordResetRequest(email=ADA))
    token = await token_for(server.mailbox, ADA)
    calls = {
        "password": server.anonymous.identity.Register(registering("bob@example.com", password=password)),
        "new_password": mine.identity.ChangePassword(changing(new=password)),
        "": server.anonymous.identity.ResetPassword(pb.ResetPasswordRequest(token=token, new_password=password)),
    }
    for field, call in calls.items():
        refused = await refusal(call)
        assert (refused.reason, list(refused.fields)) == ("PASSWORD_TOO_WEAK", [field or "new_password"])
    reset = pb.ResetPasswordRequest(token=token, new_password=NEW_PASSWORD)
    assert await outcome(server.anonymous.identity.ResetPassword(reset)) == "done"


async def test_a_wrong_password_in_another_form_costs_the_same_for_every_address(
    server: Running, evaluations: dict[str, int]
) -> None:
    """As many evaluations with an account as without one."""
    await registered(server.anonymous)
    spent = []
    for email in (ADA, "nobody@example.com"):
        evaluations.clear()
        assert await outcome(server.anonymous.identity.Login(logging_in(email, APART))) == "CREDENTIALS_INVALID"
        spent.append(dict(evaluations))
    assert spent == [{"verify": 2}] * 2
