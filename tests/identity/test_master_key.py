"""A master key that does not open the keys of a database."""

import pytest

from server.frame.sealing import MasterKeys
from server.identity.credentials.keys import MasterKeyWrong
from storage.database import Database
from storage.identity.store import IDENTITY
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.servers import Running

OTHER = MasterKeys([bytes(range(32, 64))])


async def test_with_another_master_key_nothing_is_prepared_and_nothing_is_ready(
    server: Running, database: Database
) -> None:
    """Readiness names the wrong setting, and no key is added to the existing ones."""
    await server.application.identity.keys.load()
    application = application_of(database, QUIET, master_keys=OTHER)
    await application.health.poll()
    assert application.health.reason == "BACKROOM_MASTER_KEY does not open the keys of this database"
    with pytest.raises(MasterKeyWrong):
        await application.prepare()
    async with database.store(IDENTITY).reading() as tx:
        assert len(await tx.keys.list_all()) == 2
    assert (await server.application.identity.keys.signing())[0]
    await application.finish()


def test_a_signature_holds_for_one_content_and_one_purpose() -> None:
    """Whichever of the keys it was made by; the same content is signed alike."""
    old, new = bytes(range(32)), bytes(range(1, 33))
    before, after = MasterKeys([old]), MasterKeys([new, old])
    signature = before.sign("a", b"content")
    assert signature == before.sign("a", b"content")
    assert after.signed("a", b"content", signature)
    for purpose, content, given in (
        ("b", b"content", signature),
        ("a", b"contents", signature),
        ("a", b"content", signature[:-1]),
        ("a", b"content", b""),
        ("ac", b"ontent", signature),
    ):
        assert not after.signed(purpose, content, given)
    assert not MasterKeys([new]).signed("a", b"content", signature)
