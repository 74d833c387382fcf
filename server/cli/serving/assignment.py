import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told beyond the settings, which it reads by itself."""

    number: int
    """From 1 on."""
    with_worker: bool
    """Whether it does jobs too."""
    grpc_address: str
    http_address: str
    http_socket: int
    """The descriptor that it inherited."""
    database_url: str = field(repr=False)
    sandbox: dict[str, str] | None = field(default=None, repr=False)
    """Where the sandbox is, and its secrets."""

    @classmethod
    def read(cls, text: str) -> "Assignment":
        return cls(**json.loads(text))

    def written(self) -> str:
        return json.dumps(asdict(self))
