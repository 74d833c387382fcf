"""What the database says of itself, and what opens what is sealed in it."""

import asyncio
from collections.abc import Iterator, Sequence

import migrations
from server.cli.doctor.finding import Finding, State, judged, noticed
from server.cli.doctor.sealed import master_key
from server.frame.jobs import MAX_CONNECTIONS as OF_A_WORKER
from server.frame.outages import POOLER_FIX, described, fix
from server.frame.settings import DatabaseApart
from server.settings import Settings
from storage.database import POOL_SIZE
from storage.embedded import running_url
from storage.errors import StoreError
from storage.examination import Examination, examine
from storage.pooler import Pooler

_OF_A_SERVER = POOL_SIZE + 1
"""Each keeps one connection apart."""
_NAMED = 4


def database(configured: Settings) -> Iterator[Finding]:
    url = configured.database_url or running_url(configured.data_dir.absolute() / "postgres")
    if url is None:
        yield noticed("database", "the embedded one is not running", "make run")
        return
    try:
        found = asyncio.run(examine(url, configured.pooler, configured.time_limits))
    except StoreError as error:
        yield Finding("database", described(error), State.BROKEN, fix(error))
        return
    yield _migration(found)
    yield Finding("PostgreSQL", found.version)
    yield _environment(found.issuer, configured.issuer)
    yield judged(
        "writing", found.read_only or "possible", "have DATABASE_URL name the primary" if found.read_only else ""
    )
    yield _commits(found)
    yield from _pooler(found, configured.pooler)
    yield from _rights(found, configured)
    yield _connections(found)
    if configured.direct_database_url and configured.database_url:
        yield _direct(configured.direct_database_url)
    for each in configured.all_databases_apart.values():
        yield from _apart(configured, each)
    yield from master_key(configured, url, migrated=found.revision == migrations.head() and not found.lacks_to_serve)


def _apart(configured: Settings, database: DatabaseApart) -> Iterator[Finding]:
    """A database of what stands apart."""
    what, setting = f"the database of {database.setting}", database.setting
    try:
        found = asyncio.run(examine(database.url, configured.database_pooler, configured.time_limits))
    except StoreError as error:
        yield Finding(what, described(error), State.BROKEN, fix(error, setting))
        return
    yield _migration(found, what)
    lacks = _listed(found.lacks_to_serve)
    if found.issuer not in (None, configured.issuer):
        yield judged(what, f"belongs to {found.issuer}", f"correct {setting} or BACKROOM_ISSUER")
    if found.read_only:
        yield judged(what, found.read_only, f"have {setting} name the primary")
    if lacks:
        yield judged(what, f"the role {found.role} lacks {lacks}", "backroom migrate, with BACKROOM_SERVING_ROLE")


def _migration(found: Examination, what: str = "database") -> Finding:
    head = migrations.head()
    if found.revision == "":
        return judged(what, "answers; its migration may not be read", "see the rights to serve")
    behind = found.revision is None or found.revision < head
    state = f"answers, at migration {found.revision or 'none'} of {head}"
    return judged(what, state, "backroom migrate" if behind else "")


def _environment(belongs_to: str | None, issuer: str) -> Finding:
    what = "the database belongs to"
    if belongs_to is None:
        return Finding(what, f"nobody yet; the first server makes it that of {issuer}")
    fix = f"correct DATABASE_URL or BACKROOM_ISSUER, which is {issuer}; to make a copy its own: backroom adopt"
    return judged(what, belongs_to, fix if belongs_to != issuer else "")


def _commits(found: Examination) -> Finding:
    """What an answer waits for."""
    setting, standbys = found.synchronous_commit, found.standbys
    if setting == "off" or (setting == "local" and standbys):
        waits = "the disk alone" if setting == "local" else "nothing"
        state = f"wait for {waits}, since synchronous_commit is {setting}: what was answered may be lost"
        return noticed("commits", state, f"set synchronous_commit to on for the role {found.role}")
    also = f" and a standby, by synchronous_standby_names = {standbys}" if standbys else "; no standby is synchronous"
    return Finding("commits", f"wait for the disk{also}")


def _pooler(found: Examination, pooler: Pooler) -> Iterator[Finding]:
    if pooler is Pooler.NONE and found.pooled:
        yield judged("pooler", "there is one", POOLER_FIX)
        return
    if pooler is Pooler.NONE:
        yield Finding("pooler", "none")
    elif not found.pooled:
        yield noticed("pooler", "there is none", "leave BACKROOM_DATABASE_POOLER out")
    else:
        yield Finding("pooler", f"in {pooler} mode")
    held = f"missing for the role {found.role}: {', '.join(found.unlimited)}" if found.unlimited else "hold"
    again = "backroom migrate; then RECONNECT in PgBouncer's console, where connections are older than that"
    yield judged("time limits", held, again if found.unlimited else "")


def _rights(found: Examination, configured: Settings) -> Iterator[Finding]:
    lacks = _listed(found.lacks_to_serve)
    yield judged(
        "rights to serve",
        f"the role {found.role} lacks {lacks}" if lacks else f"the role {found.role} has them",
        f"BACKROOM_SERVING_ROLE={found.role} backroom migrate, as the owner of the tables" if lacks else "",
    )
    lacks = _listed(found.lacks_to_migrate)
    if not configured.direct_database_url or not configured.database_url:
        yield noticed(
            "rights to migrate",
            f"the role {found.role} lacks {lacks}" if lacks else f"the role {found.role} has them",
            "migrate as the role that owns the tables" if lacks else "",
        )


def _connections(found: Examination) -> Finding:
    left, bound = found.connections.left, found.connections.bound
    needed = f"each server takes up to {_OF_A_SERVER}, and {OF_A_WORKER} more where it does jobs"
    few = left < _OF_A_SERVER + OF_A_WORKER
    return judged(
        "connections", f"{left} left for Backroom; {needed}", f"raise {bound}, or put a pooler between" if few else ""
    )


def _direct(url: str) -> Finding:
    what, setting = "the direct way", "BACKROOM_DIRECT_DATABASE_URL"
    try:
        found = asyncio.run(examine(url, Pooler.NONE))
    except StoreError as error:
        return Finding(what, described(error), State.BROKEN, fix(error, setting))
    if found.pooled:
        return judged(what, "leads through a pooler", f"have {setting} lead past it")
    lacks = _listed(found.lacks_to_migrate)
    state = f"answers; the role {found.role} {f'lacks {lacks} to migrate' if lacks else 'may migrate'}"
    return noticed(what, state, "migrate as the role that owns the tables" if lacks else "")


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more
