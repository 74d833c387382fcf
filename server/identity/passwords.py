"""Passwords, hashed with Argon2id by the parameters of the OWASP cheat sheet (19 MiB, 2 passes, 1 lane)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_THREADS = 2
"""One hash takes 17 ms of a core: no more than these run at once, and never on the event loop."""


class Passwords:
    """Hashes and verifies, away from the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # Made here, so that an unknown account costs one evaluation from the first login on, as a known one does.
        self._nobodys = self._hasher.hash("the password of no account")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; the work is the same where there is no hash to hold it against."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, password, password_hash)

    def close(self) -> None:
        self._threads.shutdown()

    def _verify(self, password: str, password_hash: str | None) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None
