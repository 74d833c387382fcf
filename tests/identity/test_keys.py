"""The key ring that all servers share."""

import asyncio
from datetime import timedelta
from time import monotonic

import pytest

from server.frame.sealing import MasterKeys
from server.identity.credentials.keys import KeyRing, MasterKeyWrong
from server.identity.errors import KeyNotFound
from server.identity.rules.keys import KeyState
from server.identity.service import KeyRotation
from storage.database import Database
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.records import Key, KeyUse
from storage.identity.repository import KeyReader
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEYS
from tests.identity.people import Clock, execute, kept

OTHER = bytes(range(32, 64))
AFTER = timedelta(minutes=10)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that the keys are read from the store."""
    seen: list[str] = []
    list_all = KeyReader.list_all

    async def listing(self: KeyReader) -> object:
        seen.append("read")
        return await list_all(self)

    monkeypatch.setattr(KeyReader, "list_all", listing)
    return seen


def ring_of(database: Database, clock: Clock, master_keys: MasterKeys = MASTER_KEYS) -> KeyRing:
    """A server's key ring, whose time the clock controls."""
    return KeyRing(database.store(IDENTITY), master_keys, clock, lambda: clock().timestamp() + monotonic())


def rotation_of(database: Database, clock: Clock, master_keys: MasterKeys = MASTER_KEYS) -> KeyRotation:
    return KeyRotation(database.store(IDENTITY), master_keys, clock)


def asked(clock: Clock) -> ChangeContext:
    return ChangeContext(NOBODY, "test", clock())


async def rotated(database: Database, clock: Clock) -> list[str]:
    """A completed rotation: the ids of the active keys, by use in order."""
    made = await rotation_of(database, clock).rotate(AFTER, asked(clock))
    clock.time += AFTER
    return [key.id for key in made]


async def all_kept(database: Database) -> list[Key]:
    async with database.store(IDENTITY).reading() as tx:
        return list(await tx.keys.list_all())


async def published(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in (await ring.jwks())["keys"]]


async def test_servers_that_start_at_once_on_an_empty_database_share_their_keys(
    database: Database, clock: Clock
) -> None:
    """One key for each use wins, and every server uses it."""
    rings = [ring_of(database, clock) for _ in range(4)]
    signing = await asyncio.gather(*(ring.signing() for ring in rings))
    assert len({kid for kid, _ in signing}) == 1
    assert len({await ring.secret("purpose") for ring in rings}) == 1
    assert len(await all_kept(database)) == 2


async def test_what_one_server_signs_another_verifies(database: Database, clock: Clock) -> None:
    """The public key of an id matches the private one, on a server that did not make it."""
    kid, key = await ring_of(database, clock).signing()
    public = await ring_of(database, clock).verifying(kid)
    assert public is not None
    public.verify(key.sign(b"content"), b"content")


async def test_a_secret_serves_one_purpose(database: Database, clock: Clock) -> None:
    """Other purposes get other secrets of 32 bytes."""
    ring = ring_of(database, clock)
    secrets = {await ring.secret(purpose) for purpose in ("refresh-token", "service-key", "")}
    assert len(secrets) == 3
    assert {len(secret) for secret in secrets} == {32}


async def test_unknown_key_ids_share_one_read(database: Database, clock: Clock, reads: list[str]) -> None:
    """Made-up key ids do not cause a query each, at once or one after the other."""
    ring = KeyRing(database.store(IDENTITY), MASTER_KEYS, clock)
    await ring.signing()
    reads.clear()
    began = monotonic()
    assert set(await asyncio.gather(*(ring.verifying(f"made up {place}") for place in range(50)))) == {None}
    assert reads == ["read"]
    for place in range(2):
        assert await ring.verifying(f"made up again {place}") is None
    assert reads == ["read"] * 3
    assert monotonic() - began >= 0.4


async def test_a_known_key_verifies_without_a_read(database: Database, clock: Clock, reads: list[str]) -> None:
    """However long the server runs; and signing reads once a second at most."""
    ring = ring_of(database, clock)
    kid, _ = await ring.signing()
    reads.clear()
    clock.advance(days=1)
    assert await ring.verifying(kid) is not None
    assert reads == []
    for _ in range(10):
        assert (await ring.signing())[0] == kid
    assert reads == ["read"]


async def test_the_published_keys_are_public_parts(database: Database, clock: Clock) -> None:
    """The set names the signing key, and holds nothing that signs or derives."""
    ring = ring_of(database, clock)
    kid, key = await ring.signing()
    (jwk,) = (await ring.jwks())["keys"]
    assert jwk["kid"] == kid
    assert set(jwk) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert (jwk["kty"], jwk["crv"], jwk["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert key.private_bytes_raw() not in str(jwk).encode()


async def test_keys_are_sealed_in_the_database(database: Database, clock: Clock) -> None:
    """Neither a private key nor a secret can be read there, and another master key opens neither."""
    ring = ring_of(database, clock)
    _, private = await ring.signing()
    found = await kept(database, "identity.keys")
    assert private.private_bytes_raw().hex() not in found
    for key in await all_kept(database):
        assert key.sealed
        assert MASTER_KEYS.open(f"identity.keys/{key.use}/{key.id}", key.material).hex() not in found
    with pytest.raises(MasterKeyWrong):
        await ring_of(database, clock, MasterKeys([OTHER])).load()


async def test_a_sealed_key_opens_only_in_its_own_row(database: Database, clock: Clock) -> None:
    """Someone who can write to the database cannot replace one key by another."""
    await ring_of(database, clock).load()
    await rotated(database, clock)
    await execute(
        database,
        "UPDATE identity.keys k SET material ="
        " (SELECT material FROM identity.keys n WHERE n.use = k.use AND n.id <> k.id)",
    )
    with pytest.raises(MasterKeyWrong):
        await ring_of(database, clock).load()


async def test_master_keys_are_changed_in_turn(database: Database, clock: Clock) -> None:
    """With the new one listed second all can be opened; after a rotation the old one can be removed."""
    kid, _ = await ring_of(database, clock).signing()
    secret = await ring_of(database, clock).secret("purpose")
    both, new = MasterKeys([OTHER, bytes(range(32))]), MasterKeys([OTHER])
    assert (await ring_of(database, clock, both).signing())[0] == kid
    with pytest.raises(MasterKeyWrong):
        await rotation_of(database, clock, new).rotate(AFTER, asked(clock))
    assert {each.resealing_due for each in await rotation_of(database, clock, both).list_all()} == {True}
    await rotation_of(database, clock, both).rotate(AFTER, asked(clock))
    assert {each.resealing_due for each in await rotation_of(database, clock, new).list_all()} == {False}
    ring = ring_of(database, clock, new)
    assert (await ring.signing())[0] == kid
    assert await ring.secret("purpose") == secret


async def test_keys_that_an_earlier_version_left_in_the_clear_are_sealed(database: Database, clock: Clock) -> None:
    """By the first server that reads them, and they are the same keys afterwards."""
    await in_the_clear(database, clock, "0" * 16, KeyUse.SIGN)
    await in_the_clear(database, clock, "1" * 16, KeyUse.DERIVE)
    rings = [ring_of(database, clock) for _ in range(3)]
    assert {kid for kid, _ in await asyncio.gather(*(ring.signing() for ring in rings))} == {"0" * 16}
    assert {key.sealed for key in await all_kept(database)} == {True}
    assert (b"k" * 32).hex() not in await kept(database, "identity.keys")
    _, private = await ring_of(database, clock).signing()
    assert private.private_bytes_raw() == b"k" * 32


async def test_a_key_in_the_clear_among_sealed_ones_is_ignored(database: Database, clock: Clock) -> None:
    """Someone who can write to the database cannot add a key of their own."""
    kid, _ = await ring_of(database, clock).signing()
    clock.advance(seconds=1)
    await in_the_clear(database, clock, "f" * 16, KeyUse.SIGN)
    ring = ring_of(database, clock)
    assert await ring.verifying("f" * 16) is None
    assert (await ring.signing())[0] == kid
    await rotation_of(database, clock).rotate(AFTER, asked(clock))
    assert await ring_of(database, clock).verifying("f" * 16) is None


async def in_the_clear(database: Database, clock: Clock, key_id: str, use: KeyUse) -> None:
    async with database.store(IDENTITY).transaction() as tx:
        await tx.keys.add(Key(key_id, use, b"k" * 32, False, clock(), clock()))


async def test_a_new_key_is_published_before_it_signs(database: Database, clock: Clock) -> None:
    """It is in the set immediately; the old one signs until then, and verifies until its tokens have expired."""
    ring = ring_of(database, clock)
    old, _ = await ring.signing()
    new, _ = await rotated(database, clock)
    clock.time -= timedelta(seconds=1)
    assert await published(ring) == [new, old]
    assert (await ring.signing())[0] == old
    clock.advance(seconds=1)
    assert (await ring.signing())[0] == new
    clock.advance(minutes=15)
    assert await published(ring) == [new, old]
    clock.advance(minutes=2)
    assert await published(ring) == [new]
    assert await ring_of(database, clock).verifying(old) is None


async def test_a_server_learns_of_a_key_at_its_first_token(database: Database, clock: Clock) -> None:
    """Even if it read the keys just before that one was made."""
    ring = ring_of(database, clock)
    await ring.load()
    new, _ = await rotated(database, clock)
    assert await ring.verifying(new) is not None


async def test_no_key_is_used_before_all_servers_can_know_it(database: Database, clock: Clock) -> None:
    """Two seconds at least, whatever was requested."""
    made = await rotation_of(database, clock).rotate(timedelta(0), asked(clock))
    assert {key.activate_time - clock() for key in made} == {timedelta(seconds=2)}


async def test_unneeded_keys_are_destroyed(database: Database, clock: Clock) -> None:
    """A signing key once its tokens have expired, a deriving one after its sessions; the first deriving key remains."""
    ring = ring_of(database, clock)
    secret = await ring.secret("request-digest")
    first = {key.use: key.id for key in await all_kept(database)}
    made = []
    for _ in range(3):
        made.append(await rotated(database, clock))
        clock.advance(days=30)
    left = {key.id for key in await all_kept(database)}
    assert left == {first[KeyUse.DERIVE], made[0][1], made[1][0], made[1][1], made[2][0], made[2][1]}
    clock.advance(days=90)
    made.append(await rotated(database, clock))
    left = {key.id for key in await all_kept(database)}
    assert left == {first[KeyUse.DERIVE], made[2][0], made[2][1], made[3][0], made[3][1]}
    assert await ring_of(database, clock).secret("request-digest") == secret


async def test_a_revoked_key_verifies_nothing_and_another_signs(database: Database, clock: Clock) -> None:
    """It leaves the published set immediately, on all servers."""
    ring = ring_of(database, clock)
    leaked, _ = await ring.signing()
    (made,) = await rotation_of(database, clock).revoke(leaked, asked(clock))
    await ring.load()
    assert await ring.verifying(leaked) is None
    assert await published(ring) == [made.id]
    assert (await ring.signing())[0] == made.id
    assert await rotation_of(database, clock).revoke(leaked, asked(clock)) == []
    with pytest.raises(KeyNotFound):
        await rotation_of(database, clock).revoke("made up", asked(clock))


async def test_revoking_a_key_that_does_not_sign_changes_no_other(database: Database, clock: Clock) -> None:
    """A future key never signs; nothing signed by an earlier one is accepted."""
    ring = ring_of(database, clock)
    old, _ = await ring.signing()
    new, _ = [key.id for key in await rotation_of(database, clock).rotate(AFTER, asked(clock))]
    assert await rotation_of(database, clock).revoke(new, asked(clock)) == []
    clock.time += AFTER
    assert (await ring.signing())[0] == old
    newer, _ = await rotated(database, clock)
    assert await rotation_of(database, clock).revoke(old, asked(clock)) == []
    assert (await ring.signing())[0] == newer
    assert await published(ring) == [newer]


async def test_a_listing_has_the_state_of_each_key(database: Database, clock: Clock) -> None:
    """A future one, the active one, one that still verifies, one that has ended, and a revoked one."""
    rotation = rotation_of(database, clock)
    first, _ = await ring_of(database, clock).signing()
    second, _ = await rotated(database, clock)
    leaked, _ = await rotated(database, clock)
    (third,) = await rotation.revoke(leaked, asked(clock))
    states = {each.key.id: each.state for each in await rotation.list_all() if each.key.use is KeyUse.SIGN}
    assert states == {
        first: KeyState.VERIFYING,
        second: KeyState.VERIFYING,
        leaked: KeyState.REVOKED,
        third.id: KeyState.ACTIVE,
    }
    clock.advance(minutes=17)
    made = await rotation.rotate(AFTER, asked(clock))
    states = {each.key.id: each.state for each in await rotation.list_all() if each.key.use is KeyUse.SIGN}
    assert states == {third.id: KeyState.ACTIVE, made[0].id: KeyState.NEXT}


async def test_every_change_of_keys_is_recorded(database: Database, clock: Clock) -> None:
    """With caller, action and key, in the same transaction; and without key material."""
    leaked, _ = await ring_of(database, clock).signing()
    made = [*await rotation_of(database, clock).rotate(AFTER, asked(clock))]
    made += await rotation_of(database, clock).revoke(leaked, asked(clock))
    recorded = await kept(database, "frame.audit_entries")
    for key_id in (leaked, *(key.id for key in made)):
        assert f'"signing-key/{key_id}"' in recorded
    for key in await all_kept(database):
        assert key.material.hex() not in recorded
