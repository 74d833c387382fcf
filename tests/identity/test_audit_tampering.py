"""Someone who controls the database, but does not have the key, cannot change the record unseen."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest

from server.identity.rules.auditing import FaultKind, sealed
from storage.database import Database
from storage.frame.records import AuditAnchor, AuditKey, AuditLink
from storage.frame.signing import START, mac_of
from storage.store import FRAME
from tests.identity.records import auditing_on, entry, execute, head, recorded, verified

LENGTH = 40
TAMPERINGS = 100

_UNBOUND = (
    "ALTER TABLE frame.audit_entries DROP CONSTRAINT uq_audit_entries_id",
    "ALTER TABLE frame.audit_seals DROP CONSTRAINT uq_audit_seals_sequence",
    "ALTER TABLE frame.audit_seals DROP CONSTRAINT pk_audit_seals",
)
"""The tables' safeguards against accidents do not stop their owner."""
_KEEP = ("CREATE TABLE entries_then AS TABLE frame.audit_entries", "CREATE TABLE seals_then AS TABLE frame.audit_seals")
_RESTORE = (
    "TRUNCATE frame.audit_entries, frame.audit_seals",
    "INSERT INTO frame.audit_entries OVERRIDING SYSTEM VALUE SELECT * FROM entries_then",
    "INSERT INTO frame.audit_seals SELECT * FROM seals_then",
)
_AT = "(SELECT sequence FROM frame.audit_seals WHERE position = :p)"
_COPIED = "create_time, caller_id, action, resource, address, call_id, result, id, key_id, mac"
_CHANGED: Mapping[str, str] = {
    "create_time": "create_time + interval '1 microsecond'",
    "caller_id": "gen_random_uuid()",
    "action": "action || 'x'",
    "resource": "resource || ' '",
    "address": "'10.0.0.8'",
    "call_id": "''",
    "result": "'DENIED'",
    "id": "gen_random_uuid()",
    "key_id": "'00000000'",
    "mac": "sha256(mac)",
}


@dataclass(frozen=True)
class Trace:
    """What must be found."""

    kind: FaultKind
    position: int


class Intruder:
    """Tampers with a chain of LENGTH places, in a randomly chosen way."""

    def __init__(self, database: Database, random: Random) -> None:
        self._database = database
        self._random = random
        self.kinds: Mapping[str, Callable[[], Awaitable[Trace]]] = {
            "edit": self.edit,
            "edit a number": self.edit_number,
            "edit a seal": self.edit_seal,
            "delete": self.delete,
            "delete with its seal": self.delete_both,
            "delete a seal": self.delete_seal,
            "cut the tail": self.cut,
            "insert": self.insert,
            "insert into the past": self.insert_into_the_past,
            "insert and be sealed": self.insert_and_seal,
            "insert with a seal": self.insert_with_seal,
            "hide behind a place before the first": self.hide,
            "copy and be sealed": self.copy,
            "swap two events": self.swap,
            "swap two places": self.swap_places,
            "forge the rest of the chain": self.forge,
        }

    def place(self, until: int = LENGTH) -> int:
        return self._random.randint(1, until)

    async def do(self, *statements: str, **values: object) -> None:
        await execute(self._database, *statements, **values)

    async def edit(self) -> Trace:
        column, value = self._random.choice(sorted(_CHANGED.items()))
        place = self.place()
        await self.do(f"UPDATE frame.audit_entries SET {column} = {value} WHERE sequence = {_AT}", p=place)
        return Trace(FaultKind.ALTERED, place)

    async def edit_number(self) -> Trace:
        place = self.place()
        if self._random.random() < 0.5:
            await self.do(f"UPDATE frame.audit_entries SET transaction_id = '3' WHERE sequence = {_AT}", p=place)
            return Trace(FaultKind.BROKEN, place)
        renamed = (
            "ALTER TABLE frame.audit_entries ALTER sequence DROP IDENTITY IF EXISTS",
            f"UPDATE frame.audit_entries SET sequence = 100000 + sequence WHERE sequence = {_AT}",
            "ALTER TABLE frame.audit_entries ALTER sequence ADD GENERATED ALWAYS AS IDENTITY (START 1000000)",
        )
        await self.do(*renamed, p=place)
        return Trace(FaultKind.MISSING, place)

    async def edit_seal(self) -> Trace:
        place, other = self._random.sample(range(1, LENGTH + 1), 2)
        values = {
            "hash": "sha256(hash)",
            "key_id": "'00000000'",
            "create_time": "create_time - interval '1 second'",
            "sequence": "(SELECT sequence FROM frame.audit_seals WHERE position = :other)",
            "position": "100000",
        }
        column = self._random.choice(sorted(values))
        if column == "position":
            place = min(place, LENGTH - 1)  # the last one would only be cut off, and appear elsewhere
        statement = f"UPDATE frame.audit_seals SET {column} = {values[column]} WHERE position = :p"
        await self.do(statement, p=place, **({"other": other} if column == "sequence" else {}))
        return Trace(FaultKind.BROKEN, place)

    async def delete(self) -> Trace:
        place = self.place()
        await self.do(f"DELETE FROM frame.audit_entries WHERE sequence = {_AT}", p=place)
        return Trace(FaultKind.MISSING, place)

    async def delete_both(self) -> Trace:
        place = self.place(LENGTH - 1)
        await self.do(f"DELETE FROM frame.audit_entries WHERE sequence = {_AT}", p=place)
        await self.do("DELETE FROM frame.audit_seals WHERE position = :p", p=place)
        return Trace(FaultKind.BROKEN, place)

    async def delete_seal(self) -> Trace:
        place = self.place(LENGTH - 1)
        await self.do("DELETE FROM frame.audit_seals WHERE position = :p", p=place)
        return Trace(FaultKind.BROKEN, place)

    async def cut(self) -> Trace:
        """Sometimes all of it."""
        place = self._random.randint(0, LENGTH - 1)
        entries = "DELETE FROM frame.audit_entries USING frame.audit_seals AS seals"
        await self.do(f"{entries} WHERE seals.sequence = audit_entries.sequence AND position > :p", p=place)
        await self.do("DELETE FROM frame.audit_seals WHERE position > :p", p=place)
        return Trace(FaultKind.MISSING, place + 1)

    async def insert(self) -> Trace:
        """As if a server had just written it."""
        await self.do(f"INSERT INTO frame.audit_entries ({_COPIED}) {self._forged()}", p=self.place())
        return Trace(FaultKind.FOREIGN, 0)

    async def insert_into_the_past(self) -> Trace:
        """Even if it is a true copy: its time has passed."""
        into = f"INSERT INTO frame.audit_entries ({_COPIED}, transaction_id)"
        row = f"SELECT {_COPIED}, transaction_id FROM frame.audit_entries WHERE sequence = {_AT}"
        await self.do(f"{into} {row}", p=self.place(LENGTH // 2))
        return Trace(FaultKind.FOREIGN, 0)

    async def insert_and_seal(self) -> Trace:
        """The server seals it, which vouches only for its place."""
        await self.insert()
        assert await auditing_on(self._database).seal() == 1
        return Trace(FaultKind.FOREIGN, LENGTH + 1)

    async def insert_with_seal(self) -> Trace:
        place = self.place()
        added = f"INSERT INTO frame.audit_entries ({_COPIED}) {self._forged()} RETURNING sequence"
        seal = "SELECT :p, sequence, sha256('made up'), (SELECT min(key_id) FROM frame.audit_seals), now() FROM added"
        await self.do(
            "UPDATE frame.audit_seals SET position = position + 1 WHERE position >= :p",
            f"WITH added AS ({added.replace(':p', ':q')}) INSERT INTO frame.audit_seals {seal}",
            p=place,
            q=place + 1,
        )
        return Trace(FaultKind.ALTERED, place)

    async def hide(self) -> Trace:
        """An event that has a place is not sealed again."""
        place = -self._random.randint(0, 5)
        await recorded(self._database, entry(7))
        seal = "SELECT :p, max(sequence), sha256(''), 'x', now() FROM frame.audit_entries"
        await self.do(f"INSERT INTO frame.audit_seals {seal}", p=place)
        return Trace(FaultKind.BROKEN, 1)

    async def copy(self) -> Trace:
        row = f"SELECT {_COPIED} FROM frame.audit_entries WHERE sequence = {_AT}"
        await self.do(f"INSERT INTO frame.audit_entries ({_COPIED}) {row}", p=self.place())
        assert await auditing_on(self._database).seal() == 1
        return Trace(FaultKind.FOREIGN, LENGTH + 1)

    async def swap(self) -> Trace:
        """With their signatures, so that each is genuine."""
        one, two = sorted(self._random.sample(range(1, LENGTH + 1), 2))
        pairs = ", ".join(f"{name} = other.{name}" for name in _COPIED.split(", "))
        swapped = f"""
            UPDATE frame.audit_entries SET {pairs}
            FROM frame.audit_entries AS other, frame.audit_seals AS mine, frame.audit_seals AS its
            WHERE mine.sequence = audit_entries.sequence AND its.sequence = other.sequence
                AND mine.position IN (:one, :two) AND its.position = :one + :two - mine.position
        """
        await self.do(swapped, one=one, two=two)
        return Trace(FaultKind.BROKEN, one)

    async def swap_places(self) -> Trace:
        one, two = sorted(self._random.sample(range(1, LENGTH + 1), 2))
        swapped = "UPDATE frame.audit_seals SET position = :one + :two - position WHERE position IN (:one, :two)"
        await self.do(swapped, one=one, two=two)
        return Trace(FaultKind.BROKEN, one)

    async def forge(self) -> Trace:
        """An edit, with every signature and hash after it computed again, with a key that is not ours."""
        place = self.place()
        statement = f"UPDATE frame.audit_entries SET resource = 'forged' WHERE sequence = {_AT}"
        await self.do(statement, p=place)
        async with self._database.store(FRAME).reading() as tx:
            links = await tx.audit_chain.read(after=0, limit=LENGTH)
        await self._reseal(links[place - 1 :], links[place - 2].seal.hash if place > 1 else START)
        return Trace(FaultKind.ALTERED, place)

    async def _reseal(self, links: Sequence[AuditLink], previous: bytes) -> None:
        events = [link.event for link in links if link.event is not None]
        key = AuditKey(links[0].seal.key_id, b"guessed")
        mac = mac_of(events[0].entry, key.secret)
        await self.do("UPDATE frame.audit_entries SET mac = :mac WHERE sequence = :s", mac=mac, s=events[0].sequence)
        begin = AuditAnchor(links[0].seal.position - 1, previous)
        for seal in sealed(events, begin, key, lambda: datetime.now(UTC)):
            update = "UPDATE frame.audit_seals SET hash = :hash, create_time = :time WHERE position = :p"
            await self.do(update, hash=seal.hash, time=seal.create_time, p=seal.position)

    def _forged(self) -> str:
        """A row like another one, but with another account."""
        columns = _COPIED.replace("caller_id", "gen_random_uuid()").replace(" id", " gen_random_uuid()")
        return f"SELECT {columns} FROM frame.audit_entries WHERE sequence = {_AT}"


@pytest.fixture
async def chain(database: Database) -> Database:
    """A chain of LENGTH places, of several transactions, sealed at several times; and a copy to restore it from."""
    for number in range(0, LENGTH, 4):
        await recorded(database, *(entry(number + each) for each in range(4)))
        if number % 12 == 0:
            await auditing_on(database).seal()
    await auditing_on(database).seal()
    await execute(database, *_UNBOUND, *_KEEP)
    return database


async def test_an_untouched_chain_is_valid(chain: Database) -> None:
    """From its first place to its last, and with an anchor at any of them."""
    async with chain.store(FRAME).reading() as tx:
        links = await tx.audit_chain.read(after=0, limit=1000)
    anchors = [AuditAnchor(link.seal.position, link.seal.hash) for link in links]
    found = await verified(chain, *anchors)
    assert (found.verified, found.last, found.complete, found.fault) == (LENGTH, await head(chain), True, None)


async def test_each_of_a_hundred_tamperings_is_found(chain: Database) -> None:
    """Each kind several times; the first wrong place is named, with what is wrong there."""
    random = Random(20260504)  # noqa: S311 - the same tamperings each time
    intruder = Intruder(chain, random)
    anchor = await head(chain)
    kinds = [*intruder.kinds] * (TAMPERINGS // len(intruder.kinds) + 1)
    found: Counter[str] = Counter()
    for kind in kinds[:TAMPERINGS]:
        trace = await intruder.kinds[kind]()
        fault = (await verified(chain, anchor)).fault
        assert fault is not None, kind
        assert (fault.kind, fault.position) == (trace.kind, trace.position), kind
        found[kind] += 1
        await execute(chain, *_RESTORE)
        assert (await verified(chain, anchor)).fault is None
    assert found.total() == TAMPERINGS
    assert min(found.values()) >= TAMPERINGS // len(intruder.kinds)


async def test_an_anchor_of_another_chain_is_not_in_this_one(chain: Database) -> None:
    """As if someone who also has the key rebuilt the whole chain: only an anchor stored elsewhere reveals it."""
    for place in (1, LENGTH // 2, LENGTH):
        fault = (await verified(chain, AuditAnchor(place, bytes(32)))).fault
        assert fault is not None
        assert (fault.kind, fault.position) == (FaultKind.BROKEN, place)
    beyond = (await verified(chain, AuditAnchor(LENGTH + 3, bytes(32)))).fault
    assert beyond is not None
    assert (beyond.kind, beyond.position) == (FaultKind.MISSING, LENGTH + 1)


async def test_only_an_anchor_reveals_a_cut_tail(chain: Database) -> None:
    """A shorter chain is valid by itself; the last anchor in the database reveals an attacker who forgets it."""
    anchor = await head(chain)
    tail = "SELECT sequence FROM frame.audit_seals WHERE position > 30"
    await execute(chain, f"DELETE FROM frame.audit_entries WHERE sequence IN ({tail})")
    await execute(chain, "DELETE FROM frame.audit_seals WHERE position > 30")
    assert (await verified(chain)).fault is None
    fault = (await verified(chain, anchor)).fault
    assert fault is not None
    assert (fault.kind, fault.position) == (FaultKind.MISSING, 31)
    async with chain.store(FRAME).transaction() as tx:
        await tx.audit_chain.add_anchor(anchor)
    assert (await verified(chain)).fault == fault


async def test_an_entry_signed_with_an_unknown_key_was_not_written_by_a_server(database: Database) -> None:
    """An attacker's own key is reported by its name."""
    await recorded(database, entry(1, caller_id=UUID(int=5)))
    await execute(database, "UPDATE frame.audit_entries SET key_id = 'deadbeef'")
    await auditing_on(database).seal()
    fault = (await verified(database)).fault
    assert fault is not None
    assert (fault.kind, fault.position) == (FaultKind.FOREIGN, 1)
