"""Five thousand items for ten minutes: memory, CPU and delay stay flat."""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from telemetry.plant import Asset, Plant
from telemetry.samples import Sample
from tests.collectors.opcua.foreign import foreign
from tests.collectors.opcua.peer import config
from tests.collectors.opcua.running import collecting
from tests.contracts.collector import until

ITEMS = 5000
SECONDS = int(os.environ.get("SOAK_S", "600"))
MINUTE = SECONDS / 10
NAMES = [f"N{number}" for number in range(ITEMS)]
PLANT = Plant(assets=tuple(Asset(path=f"a/{name.lower()}", name=name) for name in NAMES))


class Forgetful:
    """A sink that keeps delays, not samples: what grows is ours."""

    def __init__(self) -> None:
        self.count = 0
        self.newest: dict[str, float] = {}
        self.delays_ms: list[float] = []

    async def put(self, samples: Sequence[Sample]) -> None:
        self.count += len(samples)
        self.newest.update((one.asset, one.value) for one in samples)
        now = time.time_ns()
        self.delays_ms.append(statistics.median((now - one.time_ns) / 1e6 for one in samples))

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError(f"{source}: {reason}: {raw!r}")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 180)
async def test_five_thousand_items_for_ten_minutes_stay_flat(tmp_path: Path) -> None:
    """One value a second of each: from the second minute to the tenth memory grows by less than 5 %, CPU time
    a value and the delay between source and sink do not, and at the end every node's last value is there."""
    sink = Forgetful()
    nodes = [
        {"node": f"nsu=urn:km0:foreign;s={name}", "asset": f"a/{name.lower()}", "metric": "power"} for name in NAMES
    ]
    async with foreign(tmp_path, machines=False, variables=NAMES) as server:
        # patient: on a machine that has other work, both of us may wait for long without being gone
        settings = config(
            server.port, *nodes, url=server.url, publishing_ms=500, keepalive_ms=30_000, lifetime_ms=600_000,
            timeout_ms=60_000,
        )  # fmt: skip
        async with collecting(settings, sink, plant=PLANT) as component:
            await until(lambda: len(sink.newest) == ITEMS, 120)
            pace = asyncio.create_task(server.pace(NAMES, 1, SECONDS))
            memory_mb, delays_ms, cpu_us = [], [], []
            for _ in range(10):
                before, count, cpu_s = len(sink.delays_ms), sink.count, time.process_time()
                await asyncio.sleep(MINUTE)
                cpu_us.append((time.process_time() - cpu_s) * 1e6 / max(1, sink.count - count))
                memory_mb.append(resident_mb())
                delays_ms.append(statistics.median(sink.delays_ms[before:]))
                told = f"memory {memory_mb[-1]:.1f} MB, delay {delays_ms[-1]:.0f} ms, CPU {cpu_us[-1]:.1f} us a value"
                print(f"{sink.count} values: {told}", flush=True)  # noqa: T201 - what a soak run is for
            each, _ = await pace
            await until(lambda: set(sink.newest.values()) == {float(each)}, 60)
            assert component.counted("overflows") == component.counted("missing_messages") == 0
            assert component.counted("reconnects") == 0, component.snapshot()
    assert memory_mb[-1] < 1.05 * memory_mb[1], memory_mb
    assert cpu_us[-1] < 1.5 * cpu_us[1], cpu_us
    assert delays_ms[-1] < 1.5 * delays_ms[1] + 1000, delays_ms
