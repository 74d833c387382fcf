"""How a server meets its machine: sockets, TLS, HTTP, the processes that share a port, starting and stopping."""
