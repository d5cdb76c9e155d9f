"""Load at an even rate, whatever the replies do: `python -m tests.benchmarks.open_loop PORT RATE SECONDS FILE`.

The requests of a file (msgpack, a list of bytes) are sent in turn, each when it is due. What it took counts from then,
not from when a connection was free for it: a server that stalls is charged with all that had to wait meanwhile.
"""

import asyncio
import sys
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import msgspec
import uvloop

from tests.benchmarks.connections import Connection, connections

CONNECTIONS = 64


class Latencies(msgspec.Struct):
    """What replies took, and how late requests were sent, for want of a free connection or of the sender's CPU."""

    p50_ms: float
    p99_ms: float
    most_ms: float
    late_p99_ms: float


class _Load:
    def __init__(self, made: list[Connection]) -> None:
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in made:
            self._idle.put_nowait(connection)
        self.took_s: list[float] = []
        self.late_s: list[float] = []

    async def send(self, requests: list[bytes], rate: int, seconds: int) -> None:
        began_s = perf_counter()  # the loop's own clock counts milliseconds
        async with asyncio.TaskGroup() as tasks:
            for count in range(rate * seconds):
                due_s = began_s + count / rate
                if (early_s := due_s - perf_counter()) > 0:
                    await asyncio.sleep(early_s)
                tasks.create_task(self._exchange(requests[count % len(requests)], due_s))

    async def _exchange(self, request: bytes, due_s: float) -> None:
        connection = await self._idle.get()
        self.late_s.append(perf_counter() - due_s)
        await connection.exchange(request)
        self.took_s.append(perf_counter() - due_s)
        self._idle.put_nowait(connection)


async def _run(port: int, rate: int, seconds: int, requests: list[bytes]) -> Latencies:
    async with connections(port, CONNECTIONS) as made:
        load = _Load(made)
        await load.send(requests, rate, seconds)
    took, late = quantiles(load.took_s, n=100), quantiles(load.late_s, n=100)
    return Latencies(took[49] * 1e3, took[98] * 1e3, max(load.took_s) * 1e3, late[98] * 1e3)


if __name__ == "__main__":
    port, rate, seconds = map(int, sys.argv[1:4])
    requests = msgspec.msgpack.decode(Path(sys.argv[4]).read_bytes(), type=list[bytes])
    print(msgspec.json.encode(uvloop.run(_run(port, rate, seconds, requests))).decode())
