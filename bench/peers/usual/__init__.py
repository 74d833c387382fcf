"""A usual stack with the same features: FastAPI, Pydantic, SQLAlchemy and asyncpg, layered as their guides advise.

Like Backroom's call, its call has a signed token checked on each request, a validated body, a repeatable answer,
stock held under a row lock, a ledger, an audit row, a log line and metrics.
It has nothing for features that it does not offer: no payments, no watching, no sealed record.
"""
