"""A simulated payment provider for development and tests: for Backroom it is another company's system.

It is a separate process with its own ledger, is reached only over HTTP, and imports nothing of Backroom.
"""
