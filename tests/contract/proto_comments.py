"""The contract's comments, read from the sources, since descriptors do not keep them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROTO = Path(__file__).resolve().parents[2] / "proto" / "backroom"
FLAGD = PROTO.parent / "flagd"
"""Another's contract, which our module flags serves."""

_RPC = re.compile(r"((?:^ *//.*\n)+) *rpc (\w+)\(", re.MULTILINE)
_VALUE = re.compile(r"^ *// ([A-Z_]+): .*\n(?: *//.*\n)* *REASON_(\w+) = [1-9]", re.MULTILINE)
_REFUSAL = re.compile(r"^([A-Z]+(?:_[A-Z]+)*) / ([A-Z_]+): \S")


@dataclass(frozen=True)
class Rpc:
    """One method's comment."""

    path: str
    module: str
    lines: tuple[str, ...]

    @property
    def refusals(self) -> Mapping[str, str]:
        """The code of each reason that the comment names."""
        found = (_REFUSAL.match(line) for line in self.lines)
        return {match[2]: match[1] for match in found if match}


def service_files() -> Sequence[Path]:
    """Where the services are declared."""
    return sorted([*PROTO.glob("*/v1/*_service.proto"), *FLAGD.glob("*/v*/*_service.proto")])


def module_of(service: str) -> str:
    """The module that serves a service, by its name or its package's."""
    package, module, *_ = service.split(".")
    return module if package == "backroom" else "flags"


def rpcs() -> Iterator[Rpc]:
    for path in service_files():
        source = path.read_text()
        package = re.search(r"^package (\S+);", source, re.MULTILINE)
        service = re.search(r"^service (\w+) ", source, re.MULTILINE)
        assert package
        assert service
        for comment, name in _RPC.findall(source):
            lines = tuple(line.strip().removeprefix("//").strip() for line in comment.splitlines())
            yield Rpc(f"/{package[1]}.{service[1]}/{name}", module_of(package[1]), lines)


def reasons(module: str) -> Mapping[str, str]:
    """The code of each reason in a module's errors.proto."""
    source = (PROTO / module / "v1" / "errors.proto").read_text()
    return {reason: code for code, reason in _VALUE.findall(source)}


def all_reasons() -> Mapping[str, str]:
    """The code of each reason in any errors.proto."""
    modules = sorted(path.parts[-3] for path in PROTO.glob("*/v1/errors.proto"))
    return {reason: code for module in modules for reason, code in reasons(module).items()}


COMMON = reasons("common")


@cache
def documented() -> Mapping[str, Mapping[str, str]]:
    """By method, the code of each reason that it may be refused with, including the common ones."""
    return {rpc.path: {**COMMON, **rpc.refusals} for rpc in rpcs()}
