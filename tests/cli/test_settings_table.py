"""Every setting is in README's tables, in `.env.example`, and in the doctor's rows."""

import io
import re
from collections import Counter

import pytest
from dotenv import dotenv_values

from server import settings
from server.cli.settings_table import EXAMPLE, README, ROOT, made_files
from server.frame.settings import Declared, declared
from server.modules import MODULES
from server.settings import Settings, declarations, settings_of
from tests.cli.test_settings import shown
from tests.fixtures.keys import MASTER_KEY
from tests.process.commands import backroom_here

DECLARED = [each for kind in declarations() for each in declared(kind)]
NAMES = sorted(each.name for each in DECLARED)
SECRETS = {
    "DATABASE_URL": "postgresql://u:hunter2@/b?host=/nonexistent&password=hunter2",
    "BACKROOM_DIRECT_DATABASE_URL": "postgresql://u:hunter2@/b?host=/nonexistent&sslpassword=hunter2",
    "BACKROOM_MASTER_KEY": MASTER_KEY,
    "BACKROOM_METRICS_TOKEN": "hunter2-hunter2-hunter2",
    "BACKROOM_API_KEY": "brk_hunter2",
    "BACKROOM_SMTP_URL": "smtp://hunter2:hunter2@mail.example.com:587",
    "BACKROOM_FILES_S3_SECRET_KEY": "hunter2",
    "BACKROOM_STRIPE_KEY": "sk_hunter2",
    "BACKROOM_SANDBOX_KEY": "hunter2",
    "BACKROOM_SANDBOX_WEBHOOK_SECRET": "whsec_hunter2hunter2",
    "BACKROOM_WEBHOOK_SOURCES": '{"hub":{"scheme":"github","secrets":["hunter2"]}}',
}
"""A value for every secret setting."""


def changed(one: Settings, other: Settings) -> set[str]:
    """The settings whose values differ."""
    return {name for name, _ in set(shown(one).items()) ^ set(shown(other).items())}


def test_the_readme_lists_each_module() -> None:
    """With its promise and its services."""
    rows = re.findall(r"^\| (\w+) \| `\w+Service`.* \| (.*) \|$", made_files()[README], re.MULTILINE)
    assert [module for module, _ in rows] == list(MODULES)
    silent = [module for module, promise in rows if not promise]
    assert not silent, (
        'say it in the docstring of server/<module>/__init__.py, as in """Commerce: never loses an order."""'
    )


def test_the_files_are_current() -> None:
    """`make settings` would write exactly these."""
    for name, made in made_files().items():
        assert (ROOT / name).read_text() == made, name


def test_every_setting_is_in_the_readme_and_in_the_example() -> None:
    """Once each, in one row and on one line."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| [^|]*\| \S", (ROOT / README).read_text(), re.MULTILINE)
    lines = re.findall(r"^#([A-Z0-9_]+)=", (ROOT / EXAMPLE).read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(lines) == NAMES == sorted(settings.names())


def test_the_example_shows_the_defaults() -> None:
    """Uncommenting its lines changes nothing."""
    uncommented = re.sub(r"^#([A-Z0-9_]+=)", r"\1", (ROOT / EXAMPLE).read_text(), flags=re.MULTILINE)
    given = {name: value or "" for name, value in dotenv_values(stream=io.StringIO(uncommented)).items()}
    assert sorted(given) == NAMES
    read, silent = settings_of(given), settings_of({})
    assert read.issuer == silent.issuer
    # The defaults of these two are in the code that uses them.
    assert changed(read, silent) == {"BACKROOM_ISSUER", "BACKROOM_MAIL_FROM"}


@pytest.mark.parametrize("setting", [each for each in DECLARED if each.example], ids=lambda each: each.name)
def test_an_example_value_is_valid(setting: Declared) -> None:
    """It can be read as it is."""
    assert changed(settings_of({setting.name: setting.example}), settings_of({})) == {setting.name}


@pytest.mark.parametrize("setting", DECLARED, ids=lambda each: each.name)
def test_all_settings_are_described_in_the_same_form(setting: Declared) -> None:
    """With a phrase that continues after its name, and a page that exists if there is more to read."""
    assert not setting.says[0].isupper() or setting.says.startswith("Stripe")
    assert not setting.says.endswith((".", " "))
    page, _, heading = setting.page.partition("#")
    assert (ROOT / page).exists()
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE) if heading else [""]
    assert heading in {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}


def doctor(capsys: pytest.CaptureFixture[str], **given: str) -> str:
    free = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1", "COLUMNS": "250"}
    finished = backroom_here(capsys, "doctor", **free, **given)
    return finished.out + finished.err


def test_the_doctor_has_a_row_for_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """One, whether it is set or not."""
    for given in ({}, SECRETS):
        rows = re.findall(r"^. +((?:BACKROOM_|DATABASE_|LOG_)[A-Z0-9_]+) ", doctor(capsys, **given), re.MULTILINE)
        assert Counter(rows) == Counter(NAMES)


def test_the_doctor_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Only that it is set; a setting is declared secret once, and `repr` does not show it either."""
    assert sorted(SECRETS) == sorted(each.name for each in DECLARED if each.secret)
    said = doctor(capsys, **SECRETS, BACKROOM_MAIL="smtp", BACKROOM_MAIL_FROM="shop@example.com")
    for text in (said, repr(settings_of(SECRETS))):
        assert "hunter2" not in text
        assert MASTER_KEY not in text
    for name in set(SECRETS) - {"DATABASE_URL", "BACKROOM_DIRECT_DATABASE_URL", "BACKROOM_WEBHOOK_SOURCES"}:
        assert re.search(rf"^✓ +{name} +set *$", said, re.MULTILINE), name
