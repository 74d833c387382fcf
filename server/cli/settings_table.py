"""README's tables of settings and `.env.example`, made from what each setting is declared with."""

import argparse
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from server.frame.settings import Declared, declared
from server.settings import declarations

ROOT = Path(__file__).resolve().parents[2]
README, EXAMPLE = "README.md", ".env.example"

_BEGIN, _END = "<!-- settings: made by `make settings` -->\n", "<!-- settings: end -->\n"
_COLUMNS = 120
_INTRODUCTION = """\
# Copy to .env: what stands there counts where the environment is silent. Every line shows a default.
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
    """What the files are to hold, by their names; of README.md all but the tables is left as it is."""
    before, _, rest = (ROOT / README).read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    tables = "\n".join(_tables())
    return {README: f"{before}{_BEGIN}\n{tables}\n{_END}{after}", EXAMPLE: "\n".join(_example()) + "\n"}


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
