"""What a deleted person leaves in the database, all of which is searched, and what an export shows of it."""

import json
from typing import Any
from uuid import uuid4

from backroom.articles.v1 import article_service_pb2
from backroom.bookings.v1 import booking_service_pb2
from backroom.identity.v1 import account_service_pb2
from backroom.tasks.v1 import notes_pb2, task_service_pb2, tasks_pb2
from backroom.webhooks.v1 import endpoints_pb2, webhook_service_pb2
from server.frame.interceptors import CallLimits, Rate
from server.frame.module import now
from storage.database import Database
from storage.frame.records import ReceivedEvent
from storage.store import FRAME
from tests.articles import calling as articles
from tests.articles.calling import fresh
from tests.bookings.calling import ahead, booked, made
from tests.commerce.goods import cancelled, placed, stocked
from tests.events import calling as events
from tests.fixtures.servers import Api, Running, running
from tests.flags.calling import created
from tests.identity.access_cache import within_a_second
from tests.identity.ending import deleted, erased, exported, found_anywhere, named, person
from tests.identity.people import execute, granting, kept, me, outcome
from tests.tasks import calling as tasks

EMAIL, NAME, HANDLE = "ada.planted@example.com", "Ada Planted", "planted-handle"
STREET, PHONE = "12 Planted Lane", "+44 7700 900123"
PLANTED = (EMAIL, NAME, HANDLE, STREET, PHONE)
KINDS = {
    *("identity/account", "identity/role", "identity/session", "identity/emailed_token", "frame/audit_entry"),
    *("commerce/order", "commerce/order_line", "commerce/payment", "commerce/refund", "bookings/booking"),
    *("tasks/comment", "tasks/time_entry", "tasks/activity", "tasks/saved_filter", "tasks/membership"),
    *("articles/article", "articles/revision", "articles/review", "articles/decision"),
    *("events/event", "events/refused_event"),
    *("flags/flag_change", "flags/proposal", "flags/decision", "flags/schedule", "webhooks/created_endpoint"),
}
"""What the person has somewhere, by module."""


async def planted(server: Running) -> Api:
    """A person with data in every table that can have some, by calls where there is one that writes it."""
    boss, service = await server.sign_in("admin", "manager", "staff"), await server.sign_in("service")
    (relay,) = (task for task in server.application.tasks if task.name == "webhooks.relay")
    await relay.run()
    ada = await person(server, EMAIL)
    await execute(
        server.database, "UPDATE identity.accounts SET name = :name WHERE email = :email", name=NAME, email=EMAIL
    )
    await execute(
        server.database,
        "UPDATE identity.sessions SET user_agent = :phone WHERE account_id = :id",
        phone=PHONE,
        id=ada.account_id,
    )
    await named(ada, HANDLE)
    await named(boss, f"{HANDLE}-2", ada.account_id, request_id=str(uuid4()))
    await named(ada, HANDLE)
    await shopped(server, boss, service, ada)
    await met(boss, service, ada)
    await worked(server.database, boss, ada)
    await discussed(boss, ada)
    await wrote(server.database, boss, ada)
    await counted(service, ada)
    await relay.run()
    return ada


async def shopped(server: Running, boss: Api, service: Api, ada: Api) -> None:
    """Orders of its own and ordered for it, one paid, and a webhook of the provider that names the payer."""
    whose = str(ada.account_id)
    await stocked(boss, "TEA", 10)
    endpoint = endpoints_pb2.Endpoint(url="https://example.com/hook", event_types=[], description="All")
    await boss.webhooks.CreateEndpoint(
        webhook_service_pb2.CreateEndpointRequest(request_id=str(uuid4()), endpoint=endpoint)
    )
    own = await placed(ada, ("TEA", 1), reference=EMAIL)
    await cancelled(ada, own, reason=f"send it to {STREET}", request_id=str(uuid4()))
    paid = await placed(service, ("TEA", 1), customer_id=whose, reference="R-1")
    await cancelled(
        service, await placed(service, ("TEA", 1), customer_id=whose), reason=PHONE, request_id=str(uuid4())
    )
    await execute(
        server.database,
        "INSERT INTO commerce.payments (id, order_id, created_by, provider, provider_id, method, state, amount,"
        " currency, authorized, captured, refunded, failure, voided, client_secret, create_time, update_time,"
        " customer_id)"
        " VALUES (:id, :order, :by, 'stripe', 'pi_1', 'card', 'captured', 2.55, 'GBP', 2.55, 2.55, 0, :failure, false,"
        " 'secret', now(), now(), :whose)",
        id=uuid4(),
        order=paid.order_id,
        by=service.account_id,
        failure=f"{NAME}: declined",
        whose=whose,
    )
    await execute(
        server.database,
        "INSERT INTO commerce.refunds (id, payment_id, state, amount, reason, note, create_time, update_time)"
        " SELECT gen_random_uuid(), id, 'pending', 1, 'requested', :note, now(), now() FROM commerce.payments",
        note=f"call {PHONE}, {STREET}",
    )
    async with server.database.store(FRAME).transaction() as tx:
        body = json.dumps({"id": "pi_1", "billing_details": {"name": NAME, "email": EMAIL}}).encode()
        await tx.inbox.add([ReceivedEvent("stripe", "evt_1", body, now())])
        assert await tx.inbox.finish("stripe", "evt_1", now())


async def met(boss: Api, service: Api, ada: Api) -> None:
    """Bookings of its own and booked for it."""
    room = await made(boss)
    own = await booked(ada, room, at=ahead(), title=f"{NAME}, {PHONE}")
    await booked(service, room, at=ahead(8), title=EMAIL, customer_id=str(ada.account_id))
    cancel = booking_service_pb2.CancelRequest(request_id=str(uuid4()), booking_id=own.booking_id, reason=STREET)
    await ada.bookings.Cancel(cancel)


async def worked(database: Database, boss: Api, ada: Api) -> None:
    """What somebody who keeps flags and webhooks leaves there."""
    who: dict[str, Any] = {"who": ada.account_id, "text": f"{NAME} {EMAIL}"}
    await created(boss, "planted")
    await execute(database, "UPDATE flags.flag_versions SET changed_by = :who, comment = :text", **who)
    await execute(
        database,
        "INSERT INTO flags.proposals (id, flag_set_id, call, subject, base_version, content, comment, state,"
        " proposed_by, decided_by, decision_comment, create_time, decide_time)"
        " VALUES (gen_random_uuid(), '', 'UpdateFlag', 'flag//f', 1, '{}', :text,"
        " 'rejected', :who, :who, :text, now(), now())",
        **who,
    )
    await execute(
        database,
        "INSERT INTO flags.schedules (id, flag_set_id, flag_key, steps, take_times, state, error, comment, created_by,"
        " create_time, update_time) VALUES (gen_random_uuid(), '', 'planted', '[]', '{}', 'done', '',"
        " :text, :who, now(), now())",
        **who,
    )
    await execute(database, "UPDATE webhooks.endpoints SET created_by = :who", who=ada.account_id)


async def discussed(boss: Api, ada: Api) -> None:
    """Comments, one of them deleted again, time and a filter, in a project of others."""
    project = await tasks.project(boss)
    await tasks.joined(boss, project.project_id, ada, tasks.COMMENTER)
    task = await tasks.task(boss, project.project_id)
    await tasks.comment(ada, task.task_id, f"call {PHONE}")
    gone = await tasks.comment(ada, task.task_id, f"I am at {STREET}")
    await ada.tasks.DeleteComment(task_service_pb2.DeleteCommentRequest(request_id=fresh(), comment_id=gone.comment_id))
    entry = notes_pb2.TimeEntry(task_id=task.task_id, minutes=15, note=EMAIL)
    await ada.tasks.CreateTimeEntry(task_service_pb2.CreateTimeEntryRequest(request_id=fresh(), time_entry=entry))
    mine = tasks_pb2.SavedFilter(name=NAME)
    await ada.tasks.CreateSavedFilter(task_service_pb2.CreateSavedFilterRequest(request_id=fresh(), saved_filter=mine))


async def counted(service: Api, ada: Api) -> None:
    """An event of which it is the subject, and one that was refused."""
    whose = str(ada.account_id)
    named = events.event(subject=whose, data=json.dumps({"name": NAME, "email": EMAIL}), attributes={"note": STREET})
    broken = events.event(subject=whose, data=f"{PHONE} is no JSON")
    assert await events.outcomes(service, named, broken) == ["stored", "data_malformed"]


async def wrote(database: Database, boss: Api, ada: Api) -> None:
    """An article that is published and under review again, and a decision about another's."""
    await boss.access.GrantRole(granting(ada.account_id, "staff"))
    first = article_service_pb2.CreateArticleRequest(
        request_id=fresh(), article=articles.article(title=f"By {NAME}", content=f"Write to {EMAIL} or {PHONE}.")
    )
    await within_a_second(lambda: outcome(ada.articles.CreateArticle(first)), "done")
    own = (await ada.articles.CreateArticle(first)).article
    await articles.publish(ada, own.article_id)
    await articles.review(ada, own.article_id)
    other = await articles.made(boss)
    await articles.review(boss, other.article_id)
    await articles.approve(boss, other.article_id, 1)
    await execute(
        database,
        "UPDATE articles.reviews SET decided_by = :who, comment = :text WHERE article_id = :other",
        who=ada.account_id,
        text=f"{NAME}, {STREET}",
        other=other.article_id,
    )


async def test_nothing_names_a_deleted_person(server: Running) -> None:
    """Every column of every table is searched, before for what is planted, and after for what is left."""
    ada = await planted(server)
    before = await found_anywhere(server.database, PLANTED)
    planted_in = {table for table, _ in before}
    assert planted_in >= {
        *("identity.accounts", "identity.sessions", "commerce.orders", "commerce.payments", "commerce.refunds"),
        *("bookings.bookings", "flags.flag_versions", "flags.proposals", "flags.schedules"),
        *("tasks.comments", "tasks.time_entries", "tasks.activities", "tasks.saved_filters"),
        *("articles.revisions", "articles.reviews", "articles.search_documents"),
        *("events.events", "events.refused_events"),
        *("frame.request_ids", "frame.events", "webhooks.deliveries"),
    }
    assert {needle for _, needle in before} == {*PLANTED}
    await deleted(ada)
    await erased(server, ada.account_id)
    assert await found_anywhere(server.database, PLANTED) == set()


async def test_articles_are_handed_over(server: Running) -> None:
    """With their revisions and an event, and as published as they were; the rest of the person's data goes all the
    same."""
    ada, heir = await planted(server), await server.sign_in("staff")
    await deleted(ada, transfer_to_account_id=str(heir.account_id))
    await erased(server, ada.account_id)
    (mine,) = [
        json.loads(line)
        for line in (await kept(server.database, "articles.articles")).splitlines()
        if json.loads(line)["author_id"] == str(heir.account_id)
    ]
    assert (mine["state"], mine["revision"]) == ("published", 1)
    assert {table for table, _ in await found_anywhere(server.database, [EMAIL])} == {
        "articles.revisions",
        "articles.search_documents",
    }
    logged = [json.loads(each["data"]) for each in await article_events(server.database, mine["id"])]
    assert [each["version"] for each in logged] == [*range(1, mine["version"] + 1)]
    assert logged[-1]["author_id"] == str(heir.account_id)


async def test_articles_that_go_are_taken_from_readers_first(server: Running) -> None:
    """Each as its author would have done it, with its events."""
    ada = await planted(server)
    (own,) = [
        json.loads(line)
        for line in (await kept(server.database, "articles.articles")).splitlines()
        if json.loads(line)["author_id"] == str(ada.account_id)
    ]
    await deleted(ada)
    await erased(server, ada.account_id)
    told = [each["type"] for each in await article_events(server.database, own["id"])]
    assert told[-2:] == ["article.unpublished", "article.deleted"]


async def article_events(database: Database, article_id: str) -> list[dict[str, Any]]:
    """The events of an article, in their order."""
    found = await kept(
        database,
        f"(SELECT * FROM frame.events WHERE subject_id = '{article_id}' ORDER BY (data::jsonb->>'version')::int)",
    )
    return [json.loads(line) for line in found.splitlines()]


async def test_the_record_keeps_ids_and_amounts(server: Running) -> None:
    """Orders with their lines and totals, the business's own reference, bookings with their times, who changed what."""
    ada = await planted(server)
    whose = str(ada.account_id)
    await deleted(ada)
    await erased(server, ada.account_id)
    orders = [json.loads(line) for line in (await kept(server.database, "commerce.orders")).splitlines()]
    assert {(each["customer_id"], each["total"]) for each in orders} == {(whose, 2.55)}
    assert sorted(str(each["reference"]) for each in orders) == ["None", "None", "R-1"]
    bookings = [json.loads(line) for line in (await kept(server.database, "bookings.bookings")).splitlines()]
    assert [each["customer_id"] for each in bookings] == [whose, whose]
    assert whose in await kept(server.database, "flags.flag_versions")
    assert whose in await kept(server.database, "frame.audit_entries")


async def test_an_export_shows_all_that_there_is(server: Running) -> None:
    """Of each module and kind, with all that was planted; never a secret, nor its hash."""
    ada = await planted(server)
    hashes = json.loads(await kept(server.database, f"(SELECT * FROM identity.accounts WHERE email = '{EMAIL}')"))
    first, *lines, last = await exported(ada)
    assert (first["kind"], first["account_id"]) == ("export", str(ada.account_id))
    assert last == {"kind": "end", "count": len(lines)}
    assert {f"{line['module']}/{line['kind']}" for line in lines} == KINDS
    text = json.dumps(lines, ensure_ascii=False)
    assert [needle for needle in PLANTED if needle not in text] == []
    assert hashes["password_hash"] not in text
    assert "client_secret" not in text
    assert "hash" not in {name for line in lines for name in line["data"]}


async def test_an_export_is_its_persons(server: Running, admin: Api) -> None:
    """Or an administrator's; nobody learns by it which accounts there are, and each leaves an entry."""
    ada, other = await person(server, EMAIL), await server.sign_in("customer")
    for account_id in (ada.account_id, uuid4()):
        assert await outcome(_read(other, account_id)) == "ACCOUNT_NOT_PERMITTED"
    assert await outcome(_read(admin, uuid4())) == "ACCOUNT_NOT_FOUND"
    lines = await exported(admin, ada.account_id)
    assert EMAIL in json.dumps(lines)
    assert str(other.account_id) not in json.dumps(lines)
    entries = await kept(
        server.database, f"(SELECT * FROM frame.audit_entries WHERE resource = 'account/{ada.account_id}')"
    )
    assert entries.count("AccountService/ExportAccount") == 1


async def _read(api: Api, account_id: Any) -> Any:
    return await exported(api, account_id)


async def many_sessions(server: Running, api: Api) -> None:
    await execute(
        server.database,
        "INSERT INTO identity.sessions (id, account_id, generation, create_time, refresh_time, expire_time, user_agent)"
        " SELECT gen_random_uuid(), :who, 0, now(), now(), now(), repeat('x', 200) FROM generate_series(1, 1500)",
        who=api.account_id,
    )


async def test_a_large_export_comes_in_parts(server: Running, customer: Api) -> None:
    """Of bounded size, each of whole lines, and each row once."""
    await many_sessions(server, customer)
    request = account_service_pb2.ExportAccountRequest()
    parts = [part.json_lines async for part in customer.accounts.ExportAccount(request)]
    assert len(parts) > 5
    assert max(map(len, parts)) < 70_000
    assert all(part.endswith("\n") for part in parts)
    lines = [json.loads(line) for part in parts for line in part.splitlines()]
    assert lines[-1]["count"] == len(lines) - 2
    assert len({line["data"]["id"] for line in lines[1:-1] if line["kind"] == "session"}) == 1501


async def test_an_export_costs_its_callers_rate_by_its_size(database: Database) -> None:
    """A small call goes through after a small export, and not after a large one."""
    limits = CallLimits(rate=Rate(per_second=0.001, burst=20))
    async with running(database, limits=limits) as server:
        modest, greedy = await server.sign_in("customer"), await server.sign_in("customer")
        await many_sessions(server, greedy)
        for api in (modest, greedy):
            await exported(api)
        assert [await outcome(me(modest)), await outcome(me(greedy))] == ["done", "RATE_LIMITED"]
