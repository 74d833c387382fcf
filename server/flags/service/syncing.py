"""Complete flag sets, for clients that evaluate in their own process."""

import asyncio
import json
from collections.abc import AsyncIterator

from server.flags.errors import FlagSetTooLarge
from server.flags.rules.evaluating import View
from server.flags.rules.fractional import Fractional
from server.flags.rules.snapshots import Snapshot
from server.flags.rules.syncing import synced
from server.flags.service.following import CurrentFlags

MAX_BYTES = 4 * 1024 * 1024 - 16 * 1024
"""As large a message as gRPC's clients take, less a margin for what stands around the text."""
_WAIT_SECONDS = 3600.0
_FEW = 20
"""Flags: so few are written at once, and more are in a thread."""


class FlagSetTexts:
    """Each flag set as flagd's JSON: written once for each version of it, for however many clients."""

    def __init__(self, current: CurrentFlags, *, max_bytes: int = MAX_BYTES) -> None:
        self._current = current
        self._max_bytes = max_bytes
        self._written: dict[str, tuple[View, asyncio.Task[str]]] = {}

    async def now(self, flag_set_id: str) -> str:
        """A flag set as it is; raises FlagSetTooLarge and DatabaseUnavailable."""
        return await self._text(self._current.snapshot, flag_set_id)

    async def follow(self, flag_set_id: str) -> AsyncIterator[str]:
        """A flag set as it is, and again each time that it is another one.

        Raises FlagSetTooLarge, DatabaseUnavailable and Stopping.
        """
        snapshot = self._current.snapshot
        with self._current.streams.open():
            yield (told := await self._text(snapshot, flag_set_id))
            while True:
                newer = await self._current.after(snapshot.version, _WAIT_SECONDS)
                if newer is None:
                    continue
                snapshot = newer
                text = await self._text(snapshot, flag_set_id)
                if text != told:
                    yield (told := text)

    async def _text(self, snapshot: Snapshot, flag_set_id: str) -> str:
        view = snapshot.view(flag_set_id)
        if len(view.flags) <= _FEW:
            return self._checked(flag_set_id, _written(view, snapshot.fractional))
        kept = self._written.get(flag_set_id)
        if kept is None or kept[0] is not view:
            writing = asyncio.create_task(asyncio.to_thread(_written, view, snapshot.fractional))
            kept = self._written[flag_set_id] = (view, writing)
        # A caller that is cancelled leaves the task to others that wait for the same text.
        return self._checked(flag_set_id, await asyncio.shield(kept[1]))

    def _checked(self, flag_set_id: str, text: str) -> str:
        if len(text) > self._max_bytes:
            size, limit = str(len(text)), str(self._max_bytes)
            raise FlagSetTooLarge(flag_set_id=flag_set_id, size_bytes=size, limit_bytes=limit)
        return text


def _written(view: View, fractional: Fractional) -> str:
    """Flag by flag, for one call for all would keep other threads waiting; in ASCII, so that characters are bytes."""
    whole = dict(synced(view, fractional))
    flags = ",".join(f"{json.dumps(key)}:{_json(flag)}" for key, flag in whole.pop("flags").items())
    rest = "".join(f",{json.dumps(key)}:{_json(value)}" for key, value in whole.items())
    return f'{{"flags":{{{flags}}}{rest}}}'


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
