"""What the tests of the settings are told of identity."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_AUDIT_ANCHOR_FILE": Row("/elsewhere/anchors"),
    "BACKROOM_MAIL": Row("smtp", malformed=("pigeon",)),
    "BACKROOM_MAIL_FROM": Row("no-reply@example.com", malformed=("backroom", "a@b@c", "a@b\nBcc: c@d", "Shop <a@b>")),
    "BACKROOM_SMTP_URL": Row(
        "smtp://user:x@mail.example.com:587",
        read="SmtpServer(host='mail.example.com', port=587, tls='by STARTTLS', user='user')",
        malformed=("mail.example.com:587", "http://u:hunter2@h", "smtp://u:hunter2@h:port", "smtp://u:hunter2@"),
    ),
    "BACKROOM_MAIL_LINK": Row(
        "https://example.com/mail?token={token}",
        malformed=("https://example.com/", "ftp://example.com/{token}", "example.com/{token}"),
    ),
}
