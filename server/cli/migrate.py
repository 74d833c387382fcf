from sqlalchemy.exc import DBAPIError

import migrations
from server import settings
from server.frame.outages import explained
from server.process.database import database_url
from server.process.failure import Failure
from server.settings import Settings
from storage.connection import open_unlimited
from storage.errors import StoreError, translated
from storage.limits import set_role_limits
from storage.pooler import Pooler
from storage.rights import grant_to_serve


def migrate() -> None:
    """Migrates the database, past a pooler where its own URL is known; behind one, checks that the limits apply.
    Those of what stands apart are migrated after it.

    Then the role that serves is given what it needs for that.
    """
    configured = settings.read()
    with database_url(configured) as url:
        direct = configured.direct_database_url if configured.database_url else None
        _migrate("BACKROOM_DIRECT_DATABASE_URL" if direct else "DATABASE_URL", direct or url)
        _set_role_limits(configured, url, "DATABASE_URL")
        print(f"the database is at migration {migrations.head()}")
        _grant(configured, direct or url)
    for each in configured.all_databases_apart.values():
        _migrate(each.setting, each.url)
        _set_role_limits(configured, each.url, each.setting)
        print(f"{each.setting}: the database is at migration {migrations.head()}")
        _grant(configured, each.url)


def _migrate(setting: str, url: str) -> None:
    try:
        with translated():
            migrations.upgrade(url)
    except StoreError as error:
        raise Failure(explained(error, setting)) from None
    except DBAPIError as error:
        raise Failure(f"{setting}: the migration was taken back: {_first_line(error.orig)}") from None


def _set_role_limits(configured: Settings, url: str, setting: str) -> None:
    """By the role that serves, since each may set its own; on the way that it takes, so that it applies there
    immediately."""
    if configured.pooler is not Pooler.TRANSACTION:
        return
    try:
        with translated(), open_unlimited(url) as connection:
            set_role_limits(connection)
    except StoreError as error:
        raise Failure(explained(error, setting)) from None


def _grant(configured: Settings, url: str) -> None:
    """By the role that migrates, to the one that serves, where that is another one."""
    role = configured.serving_role
    if role is None:
        return
    try:
        with translated(), open_unlimited(url) as connection:
            grant_to_serve(connection, role)
    except StoreError as error:
        raise Failure(explained(error, "BACKROOM_SERVING_ROLE")) from None
    print(f"the role {role} may serve on it, and change nothing in the record")


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]
