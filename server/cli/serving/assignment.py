import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told beyond the settings, which it reads by itself."""

    number: int
    """From 1 on."""
    serves: bool
    """Whether it serves; otherwise it does the jobs."""
    grpc_address: str
    http_address: str
    http_socket: int
    """The descriptor that it inherited."""
    metrics_socket: int | None
    """Another one, where the metrics have an address of their own."""
    database_url: str = field(repr=False)
    sandbox: dict[str, str] | None = field(default=None, repr=False)
    """Where the sandbox is, and its secrets."""

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptors that it is to be started with."""
        return (self.http_socket,) if self.metrics_socket is None else (self.http_socket, self.metrics_socket)

    @classmethod
    def read(cls, text: str) -> "Assignment":
        return cls(**json.loads(text))

    def written(self) -> str:
        return json.dumps(asdict(self))
