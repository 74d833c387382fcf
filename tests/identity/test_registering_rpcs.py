"""Register, over the wire."""

from datetime import UTC
from uuid import UUID, uuid4

import grpc

from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import PASSWORD, Clock, kept, log_of, logged_in, me, registered, registering


async def test_a_person_registers_as_a_customer(timed: Running, clock: Clock) -> None:
    """The answer is the account as it is kept: a new id, the role customer, and the server's time."""
    answer = await timed.anonymous.identity.Register(registering("ada@example.com", display_name="Ada L."))
    user = answer.user
    assert (user.email, user.display_name, list(user.roles)) == ("ada@example.com", "Ada L.", ["customer"])
    assert UUID(user.user_id).version == 7
    assert user.create_time.ToDatetime(UTC) == clock()
    tokens = await logged_in(timed.anonymous)
    assert (await me(Api(timed.channel, tokens.access_token))).user == user


async def test_an_address_is_kept_in_lower_case(server: Running) -> None:
    """However it was written, it is one address, which is then taken."""
    user = await registered(server.anonymous, "Ada.Lovelace@Example.COM")
    assert user.email == "ada.lovelace@example.com"
    refused = await refusal(server.anonymous.identity.Register(registering("ADA.lovelace@example.com")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


async def test_a_taken_address_changes_nothing(server: Running) -> None:
    """The account that has it keeps its name and its password."""
    user = await registered(server.anonymous)
    second = registering(password="another password", display_name="Eve")
    assert (await refusal(server.anonymous.identity.Register(second))).reason == "EMAIL_TAKEN"
    tokens = await logged_in(server.anonymous)
    assert (await me(Api(server.channel, tokens.access_token))).user == user


async def test_a_repeated_registration_returns_the_first_user(server: Running) -> None:
    """The same request gets the same answer, and there is one account."""
    request = registering()
    first = await server.anonymous.identity.Register(request)
    assert await server.anonymous.identity.Register(request) == first
    assert (await kept(server.database, "identity.accounts")).count("ada@example.com") == 1


async def test_a_request_id_stands_for_one_content(server: Running) -> None:
    """Any other content under it is refused, even where only the password differs, and registers nobody."""
    request = registering()
    await server.anonymous.identity.Register(request)
    before = await kept(server.database, "identity.accounts")
    for change in ({"email": "bob@example.com"}, {"password": "another password"}, {"display_name": "Eve"}):
        other = registering(**{"request_id": request.request_id, **change})
        refused = await refusal(server.anonymous.identity.Register(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await kept(server.database, "identity.accounts") == before


async def test_a_refused_registration_frees_its_request_id(server: Running) -> None:
    """A refusal is not remembered: the same id may carry another address afterwards."""
    await registered(server.anonymous)
    request = registering()
    assert (await refusal(server.anonymous.identity.Register(request))).reason == "EMAIL_TAKEN"
    request.email = "bob@example.com"
    assert (await server.anonymous.identity.Register(request)).user.email == "bob@example.com"


async def test_without_a_request_id_nothing_is_remembered(server: Running) -> None:
    """A repeated registration then finds its own address taken."""
    request = registering(request_id="")
    await server.anonymous.identity.Register(request)
    assert (await refusal(server.anonymous.identity.Register(request))).reason == "EMAIL_TAKEN"
    assert await kept(server.database, "frame.request_ids") == ""


async def test_no_password_is_stored_or_logged(server: Running) -> None:
    """Neither the accounts nor the remembered requests nor the log hold it; what is held of it is an Argon2id hash."""
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


async def test_a_password_of_12_to_128_characters_is_taken(server: Running) -> None:
    """Characters are counted, not bytes, and the password signs its person in."""
    for place, password in enumerate(("x" * 12, "x" * 128, "é" * 12, "🐎" * 128)):
        email = f"{place}@example.com"
        await server.anonymous.identity.Register(registering(email, password=password))
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


async def test_the_longest_fields_are_taken(server: Running) -> None:
    """An address of 254 characters and a name of 100 are within the bounds."""
    email = "a" * 50 + "@" + ".".join(["b" * 50] * 3 + ["c" * 50])
    assert len(email) == 254
    user = (await server.anonymous.identity.Register(registering(email, display_name="é" * 100))).user
    assert (user.email, user.display_name) == (email, "é" * 100)


async def test_people_may_share_a_name(server: Running) -> None:
    """Only the address tells them apart."""
    one, two = await registered(server.anonymous, "a@example.com"), await registered(server.anonymous, "b@example.com")
    assert one.display_name == two.display_name
    assert one.user_id != two.user_id


async def test_the_same_request_id_of_another_caller_is_another(server: Running, customer: Api) -> None:
    """On a public method nobody is the caller, whatever token was sent along."""
    request = registering(request_id=str(uuid4()))
    first = await server.anonymous.identity.Register(request)
    assert await customer.identity.Register(request) == first
