"""Register, over the wire."""

from collections import Counter
from datetime import UTC
from uuid import UUID, uuid4

import grpc
import pytest

from tests.fixtures.mailboxes import TOKEN
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    PASSWORD,
    Clock,
    kept,
    log_of,
    logged_in,
    logging_in,
    me,
    outcome,
    registered,
    registering,
    verified,
)


async def test_a_person_registers_as_a_customer(timed: Running, clock: Clock) -> None:
    """The answer is the account as it is stored: a new id, the role customer, and the server's time."""
    answer = await timed.anonymous.identity.Register(registering("ada@example.com", display_name="Ada L."))
    user = answer.user
    assert (user.email, user.display_name, list(user.roles)) == ("ada@example.com", "Ada L.", ["customer"])
    assert UUID(user.user_id).version == 7
    assert user.create_time.ToDatetime(UTC) == clock()
    assert not user.HasField("email_verify_time")
    clock.advance(minutes=5)
    await verified(timed.anonymous)
    tokens = await logged_in(timed.anonymous)
    known = (await me(Api(timed.channel, tokens.access_token))).user
    assert known.email_verify_time.ToDatetime(UTC) == clock()
    known.ClearField("email_verify_time")
    assert known == user


async def test_nobody_signs_in_before_the_address_is_verified(server: Running) -> None:
    """Registering another person's address gains nothing."""
    await server.anonymous.identity.Register(registering())
    assert await outcome(server.anonymous.identity.Login(logging_in())) == "CREDENTIALS_INVALID"
    await verified(server.anonymous)
    assert (await logged_in(server.anonymous)).access_token


async def test_an_address_is_stored_in_lower_case(server: Running) -> None:
    """However it was written, it is one address."""
    user = await registered(server.anonymous, "Ada.Lovelace@Example.COM")
    assert user.email == "ada.lovelace@example.com"
    await server.anonymous.identity.Register(registering("ADA.lovelace@example.com"))
    assert (await kept(server.database, "identity.accounts")).count("lovelace") == 1


async def test_a_taken_address_is_answered_like_a_free_one(timed: Running) -> None:
    """With a user of the same shape and a new id, who does not exist."""
    await registered(timed.anonymous)
    taken = (await timed.anonymous.identity.Register(registering(display_name="Eve"))).user
    free = (await timed.anonymous.identity.Register(registering("bob@example.com", display_name="Eve"))).user
    assert UUID(taken.user_id).version == 7
    assert taken.user_id not in await kept(timed.database, "identity.accounts")
    for user in (taken, free):
        user.ClearField("user_id")
        user.ClearField("email")
    assert taken == free


async def test_a_taken_address_costs_the_same_work(
    server: Running, evaluations: "Counter[str]", statements: list[str]
) -> None:
    """As many evaluations and statements as a free one."""
    await registered(server.anonymous)
    spent = []
    for email in ("ada@example.com", "bob@example.com"):
        evaluations.clear()
        statements.clear()
        await server.anonymous.identity.Register(registering(email))
        await server.idle()
        spent.append((dict(evaluations), len(statements)))
    assert spent == [spent[0]] * 2
    assert spent[0][0] == {"hash": 1}


async def test_a_taken_address_changes_nothing_and_its_owner_is_notified(server: Running) -> None:
    """The account keeps its name and its password; the mail holds no token."""
    user = await registered(server.anonymous)
    await server.anonymous.identity.Register(registering(password="another password of hers", display_name="Eve"))
    tokens = await logged_in(server.anonymous)
    assert (await me(Api(server.channel, tokens.access_token))).user.display_name == user.display_name
    told = (await server.mailbox.texts_for("ada@example.com"))[-1]
    assert "has an account already" in told
    assert "Eve" not in told
    assert not TOKEN.search(told)


async def test_registering_a_taken_address_is_recorded_for_its_owner(server: Running) -> None:
    """The entry is on the owner's account."""
    user = await registered(server.anonymous)
    await server.anonymous.identity.Register(registering())
    entries = (await kept(server.database, "frame.audit_entries")).splitlines()
    assert sum(f"account/{user.user_id}" in each and '"EMAIL_TAKEN"' in each for each in entries) == 1


async def test_a_repeated_registration_returns_the_first_user(server: Running) -> None:
    """The same request gets the same answer, and there is one account."""
    request = registering()
    first = await server.anonymous.identity.Register(request)
    assert await server.anonymous.identity.Register(request) == first
    assert (await kept(server.database, "identity.accounts")).count("ada@example.com") == 1


async def test_a_request_id_is_bound_to_one_content(server: Running) -> None:
    """Any other content under it is refused, even if only the password differs, and registers nobody."""
    request = registering()
    await server.anonymous.identity.Register(request)
    before = await kept(server.database, "identity.accounts")
    for change in ({"email": "bob@example.com"}, {"password": "another password"}, {"display_name": "Eve"}):
        other = registering(**{"request_id": request.request_id, **change})
        refused = await refusal(server.anonymous.identity.Register(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await kept(server.database, "identity.accounts") == before


async def test_a_repeated_registration_of_a_taken_address_returns_the_same_user(server: Running) -> None:
    """As one of a free address does, and its owner is notified once."""
    await registered(server.anonymous)
    request = registering(display_name="Eve")
    first = await server.anonymous.identity.Register(request)
    assert await server.anonymous.identity.Register(request) == first
    assert len(await server.mailbox.texts_for("ada@example.com")) == 2


async def test_a_refused_registration_frees_its_request_id(server: Running) -> None:
    """The refusal is not stored: the same id may be used with another password afterwards."""
    request = registering(password="1q2w3e4r5t6y")
    refused = await refusal(server.anonymous.identity.Register(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_TOO_WEAK")
    assert list(refused.fields) == ["password"]
    request.password = PASSWORD
    assert (await server.anonymous.identity.Register(request)).user.email == "ada@example.com"


async def test_without_a_request_id_nothing_is_stored(server: Running) -> None:
    """A repeated registration then finds its own address taken, and is answered with another user."""
    request = registering(request_id="")
    first = await server.anonymous.identity.Register(request)
    assert (await server.anonymous.identity.Register(request)).user.user_id != first.user.user_id
    assert await kept(server.database, "frame.request_ids") == ""


async def test_too_many_registrations_from_one_address_wait(proxied: Running) -> None:
    """Ten are free; a repeated request does not count, and other addresses are not affected."""
    crowd = proxied.calling_from("10.0.0.1")
    request = registering("0@example.com")
    await crowd.identity.Register(request)
    for place in range(1, 10):
        await crowd.identity.Register(registering(f"{place}@example.com"))
        await crowd.identity.Register(request)
    held = await refusal(crowd.identity.Register(registering("10@example.com")))
    assert (held.code, held.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
    assert held.retry_after == pytest.approx(60, abs=10)
    assert await crowd.identity.Register(request)
    await proxied.calling_from("10.0.0.2").identity.Register(registering("10@example.com"))


async def test_no_password_is_stored_or_logged(server: Running) -> None:
    """Neither the accounts nor the kept answers nor the log have it; only an Argon2id hash is stored."""
    await registered(server.anonymous)
    await logged_in(server.anonymous)
    accounts, requests = (
        await kept(server.database, "identity.accounts"),
        await kept(server.database, "frame.request_ids"),
    )
    assert "$argon2id$" in accounts
    assert "ada@example.com" in requests
    for place in (accounts, requests, str(await log_of(server))):
        assert PASSWORD not in place
        assert PASSWORD.encode().hex() not in place


async def test_a_password_of_12_to_128_characters_is_accepted(server: Running) -> None:
    """Characters are counted, not bytes, and the password signs in."""
    for place, password in enumerate(
        ("xy7-Kp.q1Z!w", "Tahoe vast lamp. " * 7 + "and a dog", "éüöàñçßøåîûê", "🐎🐘🐁🦊🐢🐙🦀🐝🌵🍉🚲🎻" * 10)
    ):
        email = f"{place}@example.com"
        user_password = registering(email, password=password)
        await server.anonymous.identity.Register(user_password)
        await verified(server.anonymous, email)
        assert (await logged_in(server.anonymous, email, password)).access_token


OUT_OF_BOUNDS = [
    ("password", "x" * 11),
    ("password", "x" * 129),
    ("password", ""),
    ("password", "nul \0 inside it"),
    ("email", ""),
    ("email", "ada"),
    ("email", "ada@"),
    ("email", "ada@example.com, bob@example.com"),
    ("email", " ada@example.com"),
    ("email", "a" * 243 + "@example.com"),
    ("email", "a" * 65 + "@example.com"),
    ("email", "=?utf-8?q?a=40evil.example=2cb?=@example.com"),
    ("email", "=?utf-8?q?a=0d=0aBcc=3a=20b=40evil.example?=@example.com"),
    ("email", "a=?b@example.com"),
    ("email", '"a b"@example.com'),
    ("email", "a(comment)@example.com"),
    ("email", ".a@example.com"),
    ("email", "a..b@example.com"),
    ("email", "a.@example.com"),
    ("email", "a@-example.com"),
    ("email", "a@example..com"),
    ("email", "a@[127.0.0.1]"),
    ("email", "ädä@example.com"),
    ("email", "a\u2028@example.com"),
    ("email", "a@exämple.com"),
    ("email", "a@example.com\n"),
    ("display_name", "x" * 101),
    ("display_name", "A\0da"),
    ("request_id", "not a uuid"),
    ("request_id", "0" * 36),
]


async def test_a_field_out_of_bounds_is_named(server: Running) -> None:
    """Nothing is registered, and the refusal names the one field."""
    for field, value in OUT_OF_BOUNDS:
        refused = await refusal(server.anonymous.identity.Register(registering(**{field: value})))
        found = (refused.code, refused.reason, list(refused.fields))
        assert found == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", [field]), value
    assert await kept(server.database, "identity.accounts") == ""


async def test_the_longest_fields_are_accepted(server: Running) -> None:
    """An address of 254 characters and a name of 100 are within the bounds."""
    email = "a" * 50 + "@" + ".".join(["b" * 50] * 3 + ["c" * 50])
    assert len(email) == 254
    user = (await server.anonymous.identity.Register(registering(email, display_name="é" * 100))).user
    assert (user.email, user.display_name) == (email, "é" * 100)


async def test_people_may_share_a_name(server: Running) -> None:
    """Only the address identifies them."""
    one, two = await registered(server.anonymous, "a@example.com"), await registered(server.anonymous, "b@example.com")
    assert one.display_name == two.display_name
    assert one.user_id != two.user_id


async def test_another_callers_request_id_is_separate(server: Running, customer: Api) -> None:
    """On a public method there is no caller, whatever token is sent."""
    request = registering(request_id=str(uuid4()))
    first = await server.anonymous.identity.Register(request)
    assert await customer.identity.Register(request) == first
