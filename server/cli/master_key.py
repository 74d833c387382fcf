"""The master key, without which what is sealed in the database stays sealed."""

from server.cli.failure import Failure
from server.cli.private_file import write_private
from server.frame.sealing import MasterKeyMalformed, MasterKeys, new_master_key, read_master_key
from server.settings import Settings


def master_keys(settings: Settings) -> MasterKeys:
    """The keys that are set; for the embedded database, the one that is kept beside it, made where there is none."""
    if settings.master_keys:
        return MasterKeys(settings.master_keys)
    if not settings.embedded:
        raise Failure(
            "BACKROOM_MASTER_KEY: is not set, and a database of your own needs one: backroom keys new-master-key"
        )
    path = settings.data_dir / "master.key"
    if not path.exists():
        write_private(path, new_master_key())
    try:
        return MasterKeys([read_master_key(path.read_text())])
    except MasterKeyMalformed:
        raise Failure(f"{path}: holds no master key") from None
