"""Work that goes on beside requests, for as long as a process serves."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

CANCEL_INTERVAL_S: Final = 1.0


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have work go on meanwhile. It is cancelled until it has ended: a client that times out at the moment that it is
    cancelled may swallow the first."""
    running = {asyncio.create_task(each) for each in work}
    try:
        yield
    finally:
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_INTERVAL_S)
