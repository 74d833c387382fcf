"""What is added for an account while it is deleted: refused, or erased as well."""

import asyncio
from uuid import uuid4

from sqlalchemy import text

from storage.store import FRAME
from tests.bookings.calling import ahead, ask, made
from tests.commerce.goods import ask as ask_order
from tests.commerce.goods import placed, stocked
from tests.fixtures.servers import Running
from tests.identity.ending import deleted, deletion_of, erased, found_anywhere, person
from tests.identity.people import outcome

_COPIED = text("""
    INSERT INTO commerce.orders
    SELECT (jsonb_populate_record(
        o, jsonb_build_object('id', CAST(:id AS text), 'reference', CAST(:reference AS text))
    )).*
    FROM commerce.orders AS o LIMIT 1
""")


async def test_an_order_under_way_is_waited_for_and_erased(server: Running) -> None:
    """One that was being placed when the account was deleted, and commits after the first look at it."""
    admin = await server.sign_in("admin", "manager", "staff")
    await stocked(admin, "TEA", 10)
    ada = await person(server)
    await placed(ada, ("TEA", 1))
    async with server.database.store(FRAME).transaction() as tx:
        await tx._connection.execute(_COPIED, {"id": str(uuid4()), "reference": "planted@example.com"})
        await deleted(ada)
        erasing = asyncio.create_task(erased(server, ada.account_id))
        await asyncio.sleep(0.5)  # whatever it does meanwhile, it must not pass by the order
        assert [*(await deletion_of(admin, ada.account_id)).erased_parts] == []
        assert not erasing.done()
    await erasing
    assert await found_anywhere(server.database, ["planted@example.com"]) == set()


async def test_what_services_add_meanwhile_is_refused_or_erased(server: Running) -> None:
    """Orders and bookings for the account, by a service that does not know of the deletion."""
    boss, service = await server.sign_in("admin", "manager", "staff"), await server.sign_in("service")
    await stocked(boss, "TEA", 1000)
    room, ada = await made(boss, capacity=100), await person(server)
    whose = str(ada.account_id)

    async def add(number: int) -> set[str]:
        order = service.orders.PlaceOrder(ask_order(("TEA", 1), customer_id=whose))
        booking = service.bookings.Book(ask(room, at=ahead(7 + number), title="planted@example.com", customer_id=whose))
        return {await outcome(order), await outcome(booking)}

    async def end() -> None:
        await deleted(ada)
        await erased(server, ada.account_id)

    outcomes = await asyncio.gather(*map(add, range(6)), end(), *map(add, range(6, 12)))
    assert set().union(*(each for each in outcomes if each)) <= {"done", "ACCOUNT_DELETED"}
    assert await add(20) == {"ACCOUNT_DELETED"}
    assert await found_anywhere(server.database, ["planted@example.com"]) == set()
