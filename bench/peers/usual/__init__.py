"""What a team would write instead of Backroom: FastAPI, Pydantic, SQLAlchemy and asyncpg, layered as their guides are.

It has what Backroom's call has: a signed token checked on each request, a validated body, an answer that can be asked
for again, stock held under a row lock, a ledger, an audit row, a log line and metrics.
It has nothing that serves only what it does not offer: no payments, no watching, no sealed record.
"""
