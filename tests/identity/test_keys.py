"""The ring of keys that all servers share."""

import asyncio

import pytest

from server.identity.keys import KeyRing
from storage.database import Database
from storage.identity.repository import KeyRepository
from tests.identity.people import Clock, execute


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that the keys are read from the store."""
    seen: list[str] = []
    list_all = KeyRepository.list_all

    async def listing(self: KeyRepository) -> object:
        seen.append("read")
        return await list_all(self)

    monkeypatch.setattr(KeyRepository, "list_all", listing)
    return seen


async def test_servers_that_start_at_once_on_an_empty_database_share_their_keys(
    database: Database, clock: Clock
) -> None:
    """One key of each use wins, and every server works with it."""
    rings = [KeyRing(database, clock) for _ in range(4)]
    signing = await asyncio.gather(*(ring.signing() for ring in rings))
    assert len({kid for kid, _ in signing}) == 1
    assert len({await ring.secret("purpose") for ring in rings}) == 1
    async with database.reading() as tx:
        assert len(await tx.keys.list_all()) == 2


async def test_what_one_server_signs_another_verifies(database: Database, clock: Clock) -> None:
    """The public key of an id fits the private one, on a server that did not make it."""
    kid, key = await KeyRing(database, clock).signing()
    public = await KeyRing(database, clock).verifying(kid)
    assert public is not None
    public.verify(key.sign(b"content"), b"content")


async def test_a_secret_serves_one_purpose(database: Database, clock: Clock) -> None:
    """Other purposes get other secrets of 32 bytes, and none is the key itself."""
    ring = KeyRing(database, clock)
    secrets = {await ring.secret(purpose) for purpose in ("refresh-token", "service-key", "")}
    async with database.reading() as tx:
        materials = {key.material for key in await tx.keys.list_all()}
    assert len(secrets) == 3
    assert {len(secret) for secret in secrets} == {32}
    assert not secrets & materials


async def test_unknown_key_ids_read_the_keys_once_a_second_at_most(
    database: Database, clock: Clock, reads: list[str]
) -> None:
    """Callers that make up key ids do not become queries."""
    ring = KeyRing(database, clock)
    await ring.signing()
    reads.clear()
    for place in range(20):
        assert await ring.verifying(f"made up {place}") is None
    assert reads == []
    clock.advance(seconds=1)
    for place in range(20):
        assert await ring.verifying(f"made up {place}") is None
    assert reads == ["read"]


async def test_a_known_key_is_never_read_again(database: Database, clock: Clock, reads: list[str]) -> None:
    """Signing and verifying cost the store nothing, however long the server runs."""
    ring = KeyRing(database, clock)
    kid, _ = await ring.signing()
    reads.clear()
    clock.advance(days=1)
    assert await ring.verifying(kid) is not None
    assert (await ring.signing())[0] == kid
    assert reads == []


async def test_a_key_that_another_server_made_is_found(database: Database, clock: Clock) -> None:
    """A new key id is looked up in the store, and the retired key still verifies what it signed."""
    ring = KeyRing(database, clock)
    old, _ = await ring.signing()
    await execute(database, "UPDATE identity.keys SET retire_time = now() WHERE use = 'sign'")
    new, _ = await KeyRing(database, clock).signing()
    assert new != old
    clock.advance(seconds=1)
    assert await ring.verifying(new) is not None
    assert await ring.verifying(old) is not None


async def test_the_published_keys_are_public(database: Database, clock: Clock) -> None:
    """The set names the signing key, and holds nothing that signs or derives."""
    ring = KeyRing(database, clock)
    kid, key = await ring.signing()
    (published,) = (await ring.jwks())["keys"]
    assert published["kid"] == kid
    assert set(published) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert (published["kty"], published["crv"], published["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert key.private_bytes_raw() not in str(published).encode()
