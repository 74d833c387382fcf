"""The answers that are kept for repeated requests, each with its kind and its version (decision 28)."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from server.frame.errors import AnswerFromNewerVersion

Answer = TypeVar("Answer")
Upgrade = Callable[[Any], Any]
"""Takes the JSON value of one version, and returns that of the next."""

_MARK = re.compile(r"(?P<name>[a-z_]+\.[a-z_]+)/(?P<version>[1-9][0-9]*) ")
"""What a kept answer begins with. JSON never does, nor does a bare UUID: so it was kept before there were marks."""
_UNMARKED = 0


class AnswerKind(Generic[Answer]):
    """A kind of answer that is kept, declared once at the top of a module: `AnswerKind("commerce.product", Product)`.

    What servers keep is read for 30 days, also by older servers that run beside them. A field that has a default may
    be added as it is. Any other change of the type takes the next version, with an upgrade from the one before:
    `AnswerKind("commerce.product", Product, version=2, upgrades={1: with_a_unit})`.
    `tests/frame/test_kept_answers.py` holds every version that was ever released to that.
    """

    def __init__(
        self, name: str, of: type[Answer], *, version: int = 1, upgrades: Mapping[int, Upgrade] | None = None
    ) -> None:
        """`name` is the module's and the kind's, for good, whatever the type is called.

        `upgrades` are by the version that they begin at. The one for version 0, which was kept before answers had
        versions, takes the text itself; without one, that is the JSON of version 1.
        Raises ValueError where the name has another form, or a version has no upgrade.
        """
        self.name = name
        self.of = of
        self.version = version
        self._upgrades: Mapping[int, Upgrade] = {_UNMARKED: json.loads, **(upgrades or {})}
        self._mark = f"{name}/{version} "
        if not _MARK.fullmatch(self._mark):
            raise ValueError(f"{name}: a kind is named like commerce.placed_order")
        if missing := [each for each in range(1, version) if each not in self._upgrades]:
            raise ValueError(f"{name} has no upgrade from version {missing[0]}")

    def encoded(self, answer: Answer) -> str:
        """What is kept of an answer."""
        return self._mark + self._adapter.dump_json(answer).decode()

    def decoded(self, kept: str) -> Answer:
        """The answer as this version has it; raises AnswerFromNewerVersion where a newer server kept it."""
        if kept.startswith(self._mark):
            return self._validated(kept[len(self._mark) :])
        mark = _MARK.match(kept)
        if mark is None:
            return self._upgraded(kept, _UNMARKED)
        version = int(mark["version"])
        if mark["name"] != self.name or version > self.version:
            raise AnswerFromNewerVersion
        return self._upgraded(json.loads(kept[mark.end() :]), version)

    def _upgraded(self, value: Any, version: int) -> Answer:
        for each in range(version, self.version):
            value = self._upgrades[each](value)
        return self._validated(json.dumps(value))

    def _validated(self, text: str) -> Answer:
        answer: Answer = self._adapter.validate_json(text)
        return answer

    @cached_property
    def _adapter(self) -> TypeAdapter[Answer]:
        return TypeAdapter(self.of)


DONE = AnswerKind("frame.done", type(None), upgrades={_UNMARKED: lambda _: None})
"""Of a change that answers nothing."""
