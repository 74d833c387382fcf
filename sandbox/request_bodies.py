"""The bodies of requests, with their bounds."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _above_zero(text: str) -> str:
    if not Decimal(text):
        raise ValueError("must be above 0")
    return text


def _with_host(url: str) -> str:
    parts = urlsplit(url)
    if url and (not parts.hostname or parts.port == 0):  # reading an invalid port raises ValueError
        raise ValueError("must have a host")
    return url


Amount = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,19}(\.[0-9]{1,9})?$", strict=True), AfterValidator(_above_zero)
]
"""Up to nine decimals, as a text: a number of JSON is not exact."""
Reference = Annotated[str, StringConstraints(max_length=255, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=600)]


Url = Annotated[
    str, StringConstraints(pattern="^(https?://[!-~]+)?$", max_length=2000, strict=True), AfterValidator(_with_host)
]
"""With http or https; empty means none."""


class RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewPayment(RequestBody):
    amount: Amount
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$", strict=True)]
    reference: Reference = ""
    method: Reference = ""


class Capture(RequestBody):
    amount: Amount | None = None


class EmptyBody(RequestBody):
    pass


class NewRefund(RequestBody):
    amount: Amount
    reference: Reference = ""


class Behavior(RequestBody):
    """How the whole process behaves, from well to badly."""

    delay: Seconds = 0.0
    """How long a response waits after the work is done."""
    slow: Seconds = 2.0
    """The same, only for the method card_slow."""
    fail: Share = 0.0
    """How many requests are answered with 503 before anything is done."""
    drop_answers: Share = 0.0
    """How many requests are done, but their connection is cut without a response."""
    webhook_url: Url = ""
    """Where webhooks are sent; while it is empty, they are stored."""
    webhook_copies: Annotated[int, Field(ge=1, le=10)] = 1
    webhook_shuffle: bool = False
    """Whether webhooks are sent in random order."""
    webhook_delay: tuple[Seconds, Seconds] = (0.0, 0.0)
    """The minimum and maximum wait before a webhook is first sent."""


@dataclass(slots=True)
class ActiveBehavior:
    """The behavior that was set last, until the process stops."""

    behavior: Behavior
    stopping: asyncio.Event

    async def delay_answer(self, seconds: float) -> None:
        """Delays a response, but not the stop of the process."""
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
