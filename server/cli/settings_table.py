"""README's tables of modules and settings, and `.env.example`, made from what the code declares."""

import argparse
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from server.cli.access_table import services
from server.frame.settings import Declared, declared
from server.modules import MODULES
from server.settings import declarations

ROOT = Path(__file__).resolve().parents[2]
README, EXAMPLE = "README.md", ".env.example"

_BEGIN, _END = "<!-- settings: made by `make settings` -->\n", "<!-- settings: end -->\n"
_MODULES_BEGIN, _MODULES_END = "<!-- modules: made by `make settings` -->\n", "<!-- modules: end -->\n"
_STANDARD = (
    "| standard | `grpc.health.v1.Health`, `grpc.reflection`"
    ' | services `""`, `liveness`, `readiness`, and each one above; v1 and v1alpha |'
)
_COLUMNS = 120
_INTRODUCTION = """\
# Copy to .env: what is set there counts where the environment is silent. Every line shows a default.
# Made by `make settings` from what each setting is declared with, in `server/settings` or its module's `settings.py`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m server.cli.settings_table")
    parser.add_argument("--check", action="store_true", help="fail where a file is not current, and leave it")
    check = parser.parse_args().check
    for name, made in made_files().items():
        path = ROOT / name
        if not check:
            path.write_text(made)
        elif not path.exists() or path.read_text() != made:
            sys.exit(f"{name} is not current: make settings")


def made_files() -> Mapping[str, str]:
    """What the files are to contain, by their names; of README.md all but the tables is left as it is."""
    text = _with_block((ROOT / README).read_text(), _MODULES_BEGIN, [*_modules(), ""], _MODULES_END)
    return {README: _with_block(text, _BEGIN, _tables(), _END), EXAMPLE: "\n".join(_example()) + "\n"}


def _with_block(text: str, begin: str, lines: Iterable[str], end: str) -> str:
    """The text with these lines between two marks."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    block = "\n".join(lines)
    return f"{before}{begin}\n{block}\n{end}{after}"


def _modules() -> Iterator[str]:
    """What each module promises: the docstring of `server/<module>/__init__.py`, behind its colon."""
    yield "| module | services | what it promises |"
    yield "| --- | --- | --- |"
    for module in MODULES:
        names = [f"`{each.name}`" for each in services() if each.full_name.split(".")[1] == module]
        promise = inspect.cleandoc(import_module(f"server.{module}").__doc__ or "").partition(": ")[2]
        yield f"| {module} | {', '.join(names)} | {promise.removesuffix('.')} |"
    yield _STANDARD


def _sections() -> Iterator[tuple[str, Sequence[Declared]]]:
    """Each with its heading: of every process first, then of each module."""
    for kind in declarations():
        yield inspect.cleandoc(kind.__doc__ or "").partition("\n")[0], declared(kind)


def _tables() -> Iterator[str]:
    for heading, settings in _sections():
        yield f"{heading}\n"
        yield "| setting | default | |"
        yield "| --- | --- | --- |"
        for each in settings:
            default = each.unset or (f"`{each.default}`" if each.default else "")
            example = f"; for example `{each.example}`" if each.example else ""
            more = f": [{_label(each.page)}]({each.page})" if each.page else ""
            yield " | ".join((f"| `{each.name}`", default, f"{each.says}{example}{more} |")).replace("|  |", "| |")
        yield ""


def _label(page: str) -> str:
    """How a page is called where it is linked to: a decision by its number."""
    name = Path(page.partition("#")[0]).name
    number, _, _ = name.partition("-")
    return number if number.isdecimal() else name


def _example() -> Iterator[str]:
    yield _INTRODUCTION
    for heading, settings in _sections():
        yield f"# --- {heading.removesuffix('.')} ---\n"
        for each in settings:
            sentences = [f"{each.says[0].upper()}{each.says[1:]}."]
            sentences += [f"Without it: {each.unset}."] if each.unset else []
            sentences += [f"See {each.page}."] if each.page else []
            yield from _comment(" ".join(sentences))
            if each.example:
                yield f"# For example: {each.example}"
            yield f"#{each.name}={each.default}\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    main()
