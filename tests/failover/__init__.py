"""Guarantees to callers while servers and databases die: faults, callers that repeat, and an independent checker."""
