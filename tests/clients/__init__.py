"""Clients of other languages and tools, each installed as its users do: run by `make test-clients`."""
