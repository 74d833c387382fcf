"""Samples of every released kind and version of a kept answer, in `tests/<module>/kept_answers.json`.

`python -m tests.frame.kept_answers` adds those of new kinds and versions.
"""

import ast
import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from server.frame.answers import AnswerKind

ROOT = Path(__file__).parents[2]
COMMAND = "python -m tests.frame.kept_answers"
EXAMPLES: Mapping[Any, Any] = {
    NoneType: None,
    bool: True,
    int: 7,
    float: 0.25,
    str: "a text",
    Decimal: "12.50",
    UUID: "0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11",
    datetime: "2026-05-04T03:02:01.123456Z",
    date: "2026-05-04",
    timedelta: "PT15M",
    # Whatever JSON can hold.
    Any: [7, "a text", None],
}

Samples = Mapping[str, Mapping[str, Any]]
"""By kind and version, such as "commerce.product/1": some `answers` as JSON, and the `fields` of their type.

Of version 0, which was kept before answers had kinds, the `texts`.
"""


def declared() -> Sequence[AnswerKind[Any]]:
    """Every kind of the server; fails on one that is not declared at the top of its module."""
    found: list[AnswerKind[Any]] = []
    for path in sorted((ROOT / "server").rglob("*.py")):
        text = path.read_text()
        if "AnswerKind(" in text:
            tree = ast.parse(text)
            names = [name for node in tree.body if isinstance(node, ast.Assign) for name in _named_kinds(node)]
            made = [node for node in ast.walk(tree) if _makes_a_kind(node)]
            assert len(names) == len(made), f"{path.relative_to(ROOT)}: declare each AnswerKind at the top of the file"
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found += [getattr(module, name) for name in names]
    return found


def _named_kinds(node: ast.Assign) -> Sequence[str]:
    return [each.id for each in node.targets if isinstance(each, ast.Name)] if _makes_a_kind(node.value) else []


def _makes_a_kind(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AnswerKind"


def released() -> Samples:
    """Every sample of every module."""
    paths = sorted((ROOT / "tests").glob("*/kept_answers.json"))
    return {name: sample for path in paths for name, sample in json.loads(path.read_text()).items()}


def fields_of(of: Any) -> Any:
    """The JSON form of a type: its fields by name, with a "?" after those that have a default."""
    if is_dataclass(of):
        hints = get_type_hints(of)
        return {_named(each): fields_of(hints[each.name]) for each in fields(of)}
    if args := [fields_of(each) for each in get_args(of) if each is not Ellipsis]:
        if not _is_union(of):
            return {f"{get_origin(of).__name__} of": args}
        return " | ".join(args) if all(isinstance(each, str) for each in args) else {"any of": args}
    if issubclass(of, Enum):
        return "/".join(str(each.value) for each in of)
    return "None" if of is NoneType else str(of.__name__)


def _is_union(of: Any) -> bool:
    return get_origin(of) in (Union, UnionType)


def _named(field: Any) -> str:
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return f"{field.name}?" if has_default else str(field.name)


def example_of(of: Any) -> Any:
    """An example value of a type, as JSON."""
    if is_dataclass(of):
        hints = get_type_hints(of)
        return {each.name: example_of(hints[each.name]) for each in fields(of)}
    if args := [example_of(each) for each in get_args(of) if each is not Ellipsis]:
        if _is_union(of):
            return args[0]
        return {args[0]: args[1]} if get_origin(of) is Mapping else args
    return next(iter(of)).value if issubclass(of, Enum) else EXAMPLES[of]


def troubles(kinds: Iterable[AnswerKind[Any]], samples: Samples) -> Sequence[str]:
    """The problems that would keep a server from answering a repeated request, each with how to fix it."""
    by_name = {kind.name: kind for kind in kinds}
    found = [said for kind in by_name.values() for said in _trouble_of(kind, samples)]
    for name, sample in samples.items():
        kind = by_name.get(name.partition("/")[0])
        if kind is None:
            found.append(
                f"{name} was released, and its AnswerKind is gone: keep it until 30 days after the last release that"
                " kept such answers, then delete its samples"
            )
        else:
            found += _trouble_of_decoding(kind, name, sample)
    return found


def _trouble_of(kind: AnswerKind[Any], samples: Samples) -> Sequence[str]:
    name = f"{kind.name}/{kind.version}"
    if name not in samples:
        return [f"{name} has no sample: run `{COMMAND}`, and commit what it adds"]
    before, now = samples[name]["fields"], fields_of(kind.of)
    if before == now:
        return []
    if _grown(before, now, lambda field: field.endswith("?")):
        return [f"{name} has new fields with defaults: run `{COMMAND}`, and commit what it adds"]
    upgrade = f"version={kind.version + 1}, upgrades={{{kind.version}: <what makes the new JSON of the old>}}"
    said = (
        f"{name} was released with other fields, and servers hold such answers for 30 days:"
        f" give a new field a default, or declare AnswerKind({kind.name!r}, …, {upgrade}) and run `{COMMAND}`."
        f" Where no release has it yet, delete its sample and run that. Released: {before}; now: {now}"
    )
    return [said]


def _trouble_of_decoding(kind: AnswerKind[Any], name: str, sample: Mapping[str, Any]) -> Sequence[str]:
    found = []
    for text in sample.get("texts") or [f"{name} {json.dumps(answer)}" for answer in sample["answers"]]:
        try:
            again = kind.encoded(kind.decoded(text))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, it is this sample's
            found.append(f"{name} is not decoded: {text}: {error!r}")
            continue
        kept, encoded = (each.partition(" ")[::2] for each in (text, again))
        if kept[0] == encoded[0] and not _grown(json.loads(kept[1]), json.loads(encoded[1]), lambda _: True):
            found.append(f"{name} is another answer once it is decoded: {text} became {again}")
    return found


def _grown(before: Any, now: Any, may_be_new: Callable[[str], bool]) -> bool:
    """Whether the newer JSON has everything of the older one, and otherwise only fields with a default."""
    if isinstance(before, dict) and isinstance(now, dict):
        was = {f"{key}?" if f"{key}?" in now else key: value for key, value in before.items()}
        kept = all(key in now and _grown(value, now[key], may_be_new) for key, value in was.items())
        return kept and all(map(may_be_new, now.keys() - was.keys()))
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(_grown(*pair, may_be_new) for pair in zip(before, now, strict=True))
    return bool(before == now)


def with_what_is_new(kinds: Iterable[AnswerKind[Any]], samples: Samples) -> Samples:
    """The samples, plus one for each kind and version that has none, and new fields with a default.

    Released samples do not change.
    """
    complete = dict(samples)
    for kind in kinds:
        name, now = f"{kind.name}/{kind.version}", fields_of(kind.of)
        if name not in samples:
            complete[name] = {"fields": now, "answers": [example_of(kind.of)]}
        elif _grown(samples[name]["fields"], now, lambda field: field.endswith("?")):
            complete[name] = {**samples[name], "fields": now}
    return complete


def main() -> None:
    """Writes new samples, and prints what is left to fix."""
    kinds = declared()
    complete = with_what_is_new(kinds, released())
    for module in sorted({kind.name.partition(".")[0] for kind in kinds}):
        of_module = {name: complete[name] for name in sorted(complete) if name.startswith(f"{module}.")}
        path = ROOT / "tests" / module / "kept_answers.json"
        path.write_text(json.dumps(of_module, indent=2, ensure_ascii=False) + "\n")
    for said in troubles(kinds, complete):
        print(said)  # noqa: T201


if __name__ == "__main__":
    main()
