"""A payment provider of our own, for development and for tests: another company's system, as far as Backroom knows.

It is a process of its own with a ledger of its own, is reached over HTTP alone, and imports nothing of the rest.
"""
