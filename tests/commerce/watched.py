"""Reads a watch in tests: the expected number of messages, with a timeout."""

import asyncio
from typing import Any

SOON = 60.0
"""In seconds: far longer than a change takes to arrive."""


async def begun(call: Any) -> str:
    """The token of the first message, which holds nothing else."""
    async with asyncio.timeout(SOON):
        message = await call.read()
    assert not holds_change(message)
    assert message.resume_token
    return str(message.resume_token)


async def received(call: Any, count: int) -> list[Any]:
    """The next messages that hold a change."""
    messages: list[Any] = []
    async with asyncio.timeout(SOON):
        while len(messages) < count:
            message = await call.read()
            messages += [message] if holds_change(message) else []
    return messages


def holds_change(message: Any) -> bool:
    """Whether it holds more than the token."""
    return any(field.name != "resume_token" for field, _ in message.ListFields())
