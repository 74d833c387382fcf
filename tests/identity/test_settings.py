"""Identity's settings for mails."""

from pathlib import Path

import pytest

from server.frame.module import SettingMissing
from server.frame.settings import Deployment, Shown
from server.identity.outbox.configured import mail_of
from server.identity.outbox.local import FileOutbox
from server.identity.outbox.smtp import SmtpOutbox
from server.identity.settings import IdentitySettings
from server.settings import settings_of

SETTING = "BACKROOM_MAIL"
SMTP = {SETTING: "smtp", "BACKROOM_SMTP_URL": "smtps://user:hunter2@mail.example.com"}


def identity(**given: str) -> IdentitySettings:
    return settings_of(given).of(IdentitySettings)


def deployment(folder: Path, *, production: bool = False, embedded: bool = False) -> Deployment:
    return Deployment(production=production, embedded=embedded, data_dir=folder)


@pytest.mark.parametrize("given", [{SETTING: "smtp"}, SMTP, {SETTING: "smtp", "BACKROOM_MAIL_FROM": "a@example.com"}])
def test_a_way_of_mailing_without_its_settings_is_named_with_what_it_needs(
    given: dict[str, str], tmp_path: Path
) -> None:
    """When the server starts, and in `doctor`."""
    settings, needed = identity(**given), "BACKROOM_SMTP_URL and BACKROOM_MAIL_FROM"
    with pytest.raises(SettingMissing, match=f"^{SETTING}: smtp needs {needed}$"):
        mail_of(settings, deployment(tmp_path))
    assert settings.shown(deployment(tmp_path)) == {SETTING: Shown("smtp", f"set {needed}")}


def test_mails_are_sent_as_configured_or_by_the_kind_of_database(tmp_path: Path) -> None:
    """With the embedded one into files; otherwise not at all, which production refuses."""
    own, other = deployment(tmp_path, embedded=True), deployment(tmp_path)
    assert isinstance(mail_of(identity(), own).outbox, FileOutbox)
    assert identity().shown(own) == {SETTING: Shown(f"file: into {tmp_path / 'outbox'}", broken=False)}
    assert mail_of(identity(), other).outbox is None
    found = identity().shown(deployment(tmp_path, production=True))[SETTING]
    assert (found.fix, found.broken) == ("nobody has a mail: set it to smtp", False)
    smtp = identity(**SMTP, BACKROOM_MAIL_FROM="shop@example.com")
    assert isinstance(mail_of(smtp, own).outbox, SmtpOutbox)
    assert smtp.shown(own) == {SETTING: Shown("smtp: mail.example.com:465, at once, from shop@example.com")}
