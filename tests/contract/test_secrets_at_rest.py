"""No secret that was returned to a caller is in the database, in any table or any form."""

import base64
import binascii
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from storage.database import Database
from storage.schema import METADATA
from tests.contract.methods import METHODS
from tests.contract.rows import all_rows
from tests.fixtures.servers import Running, running
from tests.identity.people import kept


def secrets_of(message: Message) -> Iterator[str]:
    """The values of the fields that the contract marks as secret, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated:
            yield from secrets_of(value)
        elif field.GetOptions().debug_redact:
            yield value


def _holds_secrets(kind: Descriptor) -> bool:
    return any(
        field.GetOptions().debug_redact or (field.message_type is not None and _holds_secrets(field.message_type))
        for field in kind.fields
        if field.message_type is None or field.message_type.file.package.startswith("backroom")
    )


def forms_of(secret: str) -> Iterator[str]:
    """As it was returned, without its prefix, and the bytes that it encodes, as a table prints bytes."""
    bare = secret.partition("_")[2] or secret
    yield bare
    yield secret.encode().hex()
    for part in bare.split("."):
        try:
            raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_" if "/" not in part else b"+/")
        except (ValueError, binascii.Error):
            continue
        if len(raw) >= 16:
            yield raw.hex()


def test_every_method_that_returns_a_secret_is_tested() -> None:
    """By the contract's own mark; a new method fails this test until it is."""
    showing = {
        f"{method.descriptor.containing_service.name}/{method.name}"
        for method in METHODS
        if _holds_secrets(method.descriptor.output_type)
    }
    known = {name for rows in all_rows().values() for name in rows.shows_secrets}
    assert showing == known, "have each of them in the shows_secrets of its tests/<module>/contract_rows.py"


async def test_no_secret_that_was_returned_can_be_read_in_the_database(database: Database) -> None:
    """Only a hash or a sealed form is stored, even in kept answers."""
    # A server for this test alone, because the shared one has counted other tests' requests from this address.
    async with running(database) as server:
        await _look_for_secrets(server)


async def _look_for_secrets(server: Running) -> None:
    admin = await server.sign_in("admin")
    answers = [answer for rows in all_rows().values() for answer in await rows.secret_answers(server, admin)]
    shown = [secret for answer in answers for secret in secrets_of(answer)]
    assert len(shown) >= 12
    tables = {name: await kept(server.database, name) for name in METADATA.tables}
    found = {name for name, rows in tables.items() for secret in shown for form in forms_of(secret) if form in rows}
    assert found == set()
