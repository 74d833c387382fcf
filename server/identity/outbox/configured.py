"""How mails go out by the settings."""

from dataclasses import dataclass

from server.frame.module import SettingMissing
from server.frame.settings import Deployment
from server.identity.outbox.local import FileOutbox
from server.identity.outbox.port import Outbox
from server.identity.settings import IdentitySettings

_SENDER = "backroom@localhost"


@dataclass(frozen=True)
class Mail:
    """How people are told things by mail."""

    outbox: Outbox | None = None
    """None means that a line in the log stands for each mail."""
    link: str = ""
    """A page of the product's own, with "{token}" in its URL; empty where a mail holds the bare token."""


def mail_of(settings: IdentitySettings, deployment: Deployment, outbox: Outbox | None = None) -> Mail:
    """By the settings, or with this outbox in the place of theirs; raises SettingMissing."""
    return Mail(outbox or _outbox(settings, deployment), settings.mail_link or "")


def _outbox(settings: IdentitySettings, deployment: Deployment) -> Outbox | None:
    way = settings.way(deployment)
    if way == "file":
        return FileOutbox(deployment.data_dir / "outbox", settings.mail_from or _SENDER)
    if way == "log":
        return None
    if settings.smtp_url is None or settings.mail_from is None:
        raise SettingMissing(f"BACKROOM_MAIL: smtp needs {settings.lacks}")
    from server.identity.outbox.smtp import SmtpOutbox

    return SmtpOutbox(settings.smtp_url, settings.mail_from)
