"""How mails go out by the settings."""

from server.identity.outbox import Outbox
from server.identity.outbox.local import FileOutbox
from server.process.failure import Failure
from server.settings import Settings
from server.wiring import Mail

_SENDER = "backroom@localhost"


def mail_of(configured: Settings) -> Mail:
    """Raises Failure where a setting is missing."""
    return Mail(_outbox(configured), configured.mail_link or "")


def way_of(configured: Settings) -> str:
    """file, log or smtp."""
    return configured.mail or ("file" if configured.embedded else "log")


def _outbox(configured: Settings) -> Outbox | None:
    """None means lines in the log."""
    way = way_of(configured)
    if way == "file":
        return FileOutbox(configured.data_dir / "outbox", configured.mail_from or _SENDER)
    if way == "log":
        return None
    if configured.smtp_url is None or configured.mail_from is None:
        raise Failure("BACKROOM_MAIL: smtp needs BACKROOM_SMTP_URL and BACKROOM_MAIL_FROM")
    from server.identity.outbox.smtp import SmtpOutbox

    return SmtpOutbox(configured.smtp_url, configured.mail_from)
