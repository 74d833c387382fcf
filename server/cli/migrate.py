import migrations
from server import settings
from server.cli.failure import Failure
from server.cli.opened import database_url
from storage.errors import StoreError, translated


def migrate() -> None:
    configured = settings.read()
    with database_url(configured) as url:
        try:
            with translated():
                migrations.upgrade(url)
        except StoreError:
            raise Failure("DATABASE_URL: the database does not answer") from None
    print(f"the database stands at migration {migrations.head()}")
