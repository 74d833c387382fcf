"""What must be stored, by what was sent and answered: nothing of the server's own code is asked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Key = tuple[str, str]
"""A source and an id."""


@dataclass
class Book:
    """What was answered to the events that were sent, by their keys; a batch that was not answered is sent again."""

    sent: dict[Key, set[str]] = field(default_factory=dict)
    """The contents."""
    stored: Counter[Key] = field(default_factory=Counter)
    """How often stored was answered."""
    known: dict[Key, set[str]] = field(default_factory=dict)
    """The contents to which stored or duplicate was answered."""
    differing: dict[Key, set[str]] = field(default_factory=dict)
    """The contents to which conflict was answered."""

    def send(self, key: Key, content: str) -> None:
        self.sent.setdefault(key, set()).add(content)

    def answer(self, key: Key, content: str, outcome: str) -> None:
        """Notes what was answered; raises ValueError where no event of these may be answered so."""
        if outcome not in ("stored", "duplicate", "conflict"):
            raise ValueError(f"{key} was answered {outcome}")
        self.stored[key] += outcome == "stored"
        of = self.differing if outcome == "conflict" else self.known
        of.setdefault(key, set()).add(content)

    def problems(self, rows: Iterable[tuple[str, str, str]]) -> Sequence[str]:
        """What is wrong with the rows, of source, id and content, once each batch was answered."""
        found: dict[Key, list[str]] = {}
        for source, event_id, content in rows:
            found.setdefault((source, event_id), []).append(content)
        return [
            *(f"{key}: never answered" for key in self.sent if key not in self.known),
            *(f"{key}: acknowledged, and lost" for key in self.known if key not in found),
            *(f"{key}: stored {len(each)} times" for key, each in found.items() if len(each) > 1),
            *(f"{key}: never sent" for key in found if key not in self.sent),
            *(f"{key}: answered stored {count} times" for key, count in self.stored.items() if count > 1),
            *(
                f"{key}: another content is stored than was acknowledged"
                for key, contents in self.known.items()
                if key in found and contents != {*found[key]}
            ),
            *(
                f"{key}: called a conflict, and equal to what is stored"
                for key, contents in self.differing.items()
                if key in found and contents & {*found[key]}
            ),
        ]
