"""What is set for identity: how mails go out, and where the record of changes is anchored."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from server.frame.settings import DeclaredSettings, Deployment, Shown, setting
from server.identity.outbox.smtp import SmtpServer, read_smtp_url
from server.identity.rules.accounts import is_email


class IdentitySettings(DeclaredSettings):
    """The module `identity`: mails, and the record of changes."""

    audit_anchor_file: Path | None = setting(
        "BACKROOM_AUDIT_ANCHOR_FILE",
        None,
        "a file, best on another machine, that the end of the record of changes is appended to every minute;"
        " set it where the jobs are done",
    )
    mail: Literal["log", "file", "smtp"] | None = setting(
        "BACKROOM_MAIL",
        None,
        "how mails go out: `file` (into `BACKROOM_DATA_DIR/outbox`), `log` (a line each, which sends nothing) or"
        " `smtp`",
        unset="`file` on the embedded PostgreSQL, else `log`",
    )
    mail_from: str | None = setting(
        "BACKROOM_MAIL_FROM", None, "whom mails are from, which `smtp` needs", typed="backroom@localhost"
    )
    smtp_url: SmtpServer | None = setting(
        "BACKROOM_SMTP_URL",
        None,
        "where `smtp` hands mails in: `smtps://` begins with TLS, and `smtp://` goes over to it by STARTTLS",
        example="smtp://user:password@host:587",
        secret=True,
    )
    mail_link: str | None = setting(
        "BACKROOM_MAIL_LINK",
        None,
        "a page of the product's own that a mail links to, with `{token}` in its URL: a token that begins with `brv_`"
        " is for VerifyEmail, and with `brp_` for ResetPassword",
        unset="a mail holds the bare token",
        example="https://example.com/mail?token={token}",
    )

    def unfit_for_production(self) -> Iterator[str]:
        if self.mail in (None, "file"):
            yield "BACKROOM_MAIL: is needed in production; set it to smtp, or to log where nobody is to have a mail"
        if self.mail_link and self.mail_link.startswith("http:"):
            yield "BACKROOM_MAIL_LINK: would have tokens travel in plain text; let it begin with https://"

    def way(self, deployment: Deployment) -> Literal["log", "file", "smtp"]:
        """How mails go out."""
        return self.mail or ("file" if deployment.embedded else "log")

    @property
    def lacks(self) -> str:
        """What mails need that is not set; empty where nothing is missing."""
        migration_problem = self.mail == "smtp" and (self.smtp_url is None or self.mail_from is None)
        return "BACKROOM_SMTP_URL and BACKROOM_MAIL_FROM" if migration_problem else ""

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        way, server = self.way(deployment), self.smtp_url
        if self.lacks:
            found = Shown(way, f"set {self.lacks}")
        elif way == "smtp" and server is not None:
            found = Shown(f"smtp: {server.host}:{server.port}, {server.tls}, from {self.mail_from}")
        else:
            state = f"into {deployment.data_dir / 'outbox'}" if way == "file" else "a line in the log for each"
            nobody = "nobody has a mail: set it to smtp" if deployment.production else ""
            found = Shown(f"{way}: {state}", nobody, broken=False)
        return {"BACKROOM_MAIL": found}

    @field_validator("mail_from")
    @classmethod
    def _mail_address(cls, value: str | None) -> str | None:
        if value is not None and not is_email(value):
            raise ValueError("must be an address such as no-reply@example.com")
        return value

    @field_validator("mail_link")
    @classmethod
    def _mail_link(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-~]*\{token\}[!-~]*", value):
            raise ValueError("must be a URL that holds {token}, such as https://example.com/mail?token={token}")
        return value

    @field_validator("smtp_url", mode="before")
    @classmethod
    def _smtp_server(cls, value: object) -> object:
        return read_smtp_url(value) if isinstance(value, str) else value
