import json
from socket import socket

import uvicorn
from pydantic_settings import CliApp

from bench.peers.usual.app import create_app
from bench.peers.usual.settings import Settings


class Server(uvicorn.Server):
    """Prints its port in a line of JSON."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"event": "serving", "port": port}), flush=True)


def main() -> None:
    settings = CliApp.run(Settings)
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        timeout_keep_alive=75,  # its callers return after the other side's window
    )
    Server(config).run()


if __name__ == "__main__":
    main()
