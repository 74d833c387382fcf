"""How a process runs until it is asked to stop."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from server.frame.health import Health
from server.process.failure import Interrupted


def run_until_stopped(runner: asyncio.Runner, serving: Coroutine[Any, Any, None]) -> None:
    """Raises Interrupted where a second Ctrl-C cut it off."""
    try:
        runner.run(serving)
    except asyncio.CancelledError:
        raise Interrupted("interrupted twice: what was under way was cut off") from None


def stop_requested() -> asyncio.Event:
    """Is set once the process is asked to stop, or its terminal is closed and nobody said to go on then.

    A second Ctrl-C ends what runs in the loop at once.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    running = asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and running is not None:
            running.cancel()
        stop.set()

    goes_on = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup has it
    for number in (signal.SIGTERM, *(() if goes_on else (signal.SIGHUP,))):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def ready(health: Health, stop: asyncio.Event) -> bool:
    """Waits until calls are answered; False where the stop came first."""
    either = [asyncio.create_task(health.ready()), asyncio.create_task(stop.wait())]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    for each in either:
        each.cancel()
    return not stop.is_set()
