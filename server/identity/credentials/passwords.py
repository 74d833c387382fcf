"""Passwords, hashed with Argon2id by the parameters of the OWASP cheat sheet (19 MiB, 2 passes, 1 lane)."""

import asyncio
import base64
import lzma
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from functools import cache, partial
from importlib.resources import files
from threading import Lock
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from zxcvbn_rs_py import zxcvbn

from server.frame.errors import FieldInvalid, FieldViolation, Overloaded
from server.identity.errors import PasswordTooWeak
from server.identity.rules.passwords import (
    ESTIMATED,
    MIN_CHARACTERS,
    PLAIN,
    STRONG_FROM,
    account_words,
    is_common,
    normalized,
)

_THREADS = max(1, min((os.cpu_count() or 2) - 1, 8))
"""One hash takes 17 ms of a core: one core is always left to all the rest."""
_WAITING = 25 * _THREADS
"""How many may wait: about half a second's work."""

Result = TypeVar("Result")


class Match(IntEnum):
    """Whether a password matches a hash; true where it does."""

    NONE = 0
    NORMALIZED = 1
    AS_TYPED = 2
    """It matches a hash of before passwords were normalized, which is to be replaced."""


@cache
def _common() -> frozenset[str]:
    listed = files("server.identity").joinpath("data/common-passwords.txt.xz").read_bytes()
    return frozenset(lzma.decompress(listed).decode().splitlines())


class Passwords:
    """Hashes and verifies, away from the event loop; what is more than it can do soon is refused with Overloaded."""

    def __init__(
        self,
        hasher: PasswordHasher | None = None,
        *,
        threads: int = _THREADS,
        waiting: int = _WAITING,
    ) -> None:
        """`waiting` is how many may wait while all threads are at work."""
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._nobodys = _hash_of_nothing(self._hasher)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._room = threads + waiting
        self._taken = 0
        self._counting = Lock()

    async def hash(self, password: str) -> str:
        """The hash of a password's normal form; raises Overloaded."""
        return await self._in_thread(partial(self._hasher.hash, normalized(password)))

    async def verify(self, password: str, password_hash: str | None) -> Match:
        """Whether it is the password; the work is the same where there is no hash to verify it by.

        Earlier versions hashed passwords as they were typed: where the normal form is another and does not match, what
        was typed is tried, too. Raises Overloaded.
        """
        return await self._in_thread(partial(self._verify, password, password_hash))

    def outdated(self, password_hash: str) -> bool:
        """Whether a hash was made by other parameters than those of now."""
        return self._hasher.check_needs_rehash(password_hash)

    async def refuse_weak(self, password: str, email: str, field: str) -> None:
        """Refuses a password that is too short once it is normalized, that many use, or that is easy to guess.

        Raises FieldInvalid and PasswordTooWeak, which name the field, and Overloaded.
        """
        text = normalized(password)
        if len(text) < MIN_CHARACTERS:
            raise FieldInvalid.of(field, f"must have {MIN_CHARACTERS} characters or more once normalized (NFKC)")
        if await self._in_thread(partial(self._is_weak, text, account_words(email))):
            raise PasswordTooWeak(
                fields=[FieldViolation(field, "is too common or too easy to guess: choose another one")]
            )

    async def load(self) -> None:
        """Loads what weak passwords are recognized by: some 13 MiB that the first caller would have to wait for."""
        await self._in_thread(partial(self._is_weak, "", ()))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        with self._counting:
            if self._taken >= self._room:
                raise Overloaded
            self._taken += 1
        future = self._threads.submit(work)
        # Not when the caller goes: the thread is at work until it has ended, whoever still waits for it.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: "Future[Result]") -> None:
        with self._counting:
            self._taken -= 1

    def _is_weak(self, text: str, own: Sequence[str]) -> bool:
        if is_common(text, _common(), own):
            return True
        return int(zxcvbn(text[:ESTIMATED], [*own, *PLAIN]).score) < STRONG_FROM

    def _verify(self, password: str, password_hash: str | None) -> Match:
        text = normalized(password)
        if self._fits(text, password_hash):
            return Match.NORMALIZED
        return Match.AS_TYPED if text != password and self._fits(password, password_hash) else Match.NONE

    def _fits(self, text: str, password_hash: str | None) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys, text)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """A hash that no password has, but that costs as much to verify as any other of these parameters."""
    parameters = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${parameters}${salt}${digest}"
