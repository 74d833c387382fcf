"""The master key, without which what is sealed in the database stays sealed."""

from pathlib import Path

from server.application import Application
from server.frame.outages import explained
from server.frame.sealing import MasterKeyMalformed, MasterKeys, SealBroken, new_master_key, read_master_key
from server.identity.credentials.keys import MasterKeyWrong
from server.process.data_dir.private_file import write_private_once
from server.process.failure import Failure
from server.settings import Settings
from storage.embedded.data import contains_data
from storage.errors import StoreUnavailable


def master_keys(settings: Settings) -> MasterKeys:
    """The keys that are set; for the embedded database, the one that is kept next to it, made where there is none."""
    if settings.master_keys:
        return MasterKeys(settings.master_keys)
    if not settings.embedded:
        raise Failure(
            "BACKROOM_MASTER_KEY: is not set, and a database of your own needs one: backroom keys new-master-key"
        )
    try:
        return MasterKeys([read_master_key(_kept(settings.data_dir))])
    except (MasterKeyMalformed, UnicodeDecodeError):
        raise Failure(
            f"{settings.data_dir / 'master.key'}: has no master key, and the database next to it was sealed with one;"
            " put the key back there, or set BACKROOM_DATA_DIR to a new folder"
        ) from None


def _kept(data_dir: Path) -> str:
    """The content of master.key: made where there is none, or an empty one and nothing yet that it could have sealed.

    A full disk once left empty ones behind.
    """
    path = data_dir / "master.key"
    if path.exists():
        text = path.read_text()
        if text.strip() or contains_data(data_dir / "postgres"):
            return text
        path.unlink()
    return write_private_once(path, new_master_key())


async def prepared(application: Application, settings: Settings) -> None:
    """Has the application open what is sealed; raises Failure where the master key is another, or the database refuses
    us."""
    try:
        await application.prepare()
    except (MasterKeyWrong, SealBroken):
        raise wrong_master_key(settings) from None
    except StoreUnavailable as error:
        raise Failure(explained(error)) from None


def wrong_master_key(settings: Settings) -> Failure:
    """Says which setting it is, and the fix."""
    here = settings.embedded and not settings.master_keys
    where = str(settings.data_dir / "master.key") if here else "BACKROOM_MASTER_KEY"
    return Failure(
        f"{where}: does not open what is sealed in this database; set the key that sealed it,"
        " or the new one and that one with a comma between"
    )
