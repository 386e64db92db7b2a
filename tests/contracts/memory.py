"""Fakes that remember: a Store and a Sink in plain Python, held to the same contract suites as the real ones."""

import asyncio
import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from telemetry.errors import RejectedError, StoreError
from telemetry.glossary import holds
from telemetry.samples import Changes, KpiValue, Sample, Series, SeriesInfo, Span, Window


class MemoryStore:
    """A Store of dicts and lists: slow, and simple enough to be seen correct. Set `fail_with` to make writes fail."""

    def __init__(self) -> None:
        self.fail_with: StoreError | None = None
        self._lock = threading.RLock()
        self._series: dict[tuple[str, str], dict[int, Sample]] = {}
        self._log: list[tuple[int, Span]] = []
        self._sequence = 0
        self._kpis: dict[tuple[str, str, str, int], KpiValue] = {}
        self._cursor = 0
        self.kept_since_ns = 0

    def write(self, samples: Sequence[Sample]) -> None:
        with self._lock:
            if self.fail_with is not None:
                raise self.fail_with
            self._sequence += 1
            reasons: dict[int, str] = {}
            for index, sample in enumerate(samples):
                if reason := _refusal(sample):
                    reasons[index] = reason
                    continue
                self._series.setdefault((sample.asset, sample.metric), {})[sample.time_ns] = sample
                span = Span(sample.asset, sample.metric, sample.time_ns, sample.time_ns)
                self._log.append((self._sequence, span))
            if reasons:
                raise RejectedError(reasons)

    def read(self, asset: str, metric: str, window: Window) -> Series:
        with self._lock:
            rows = sorted(self._series.get((asset, metric), {}).values(), key=lambda sample: sample.time_ns)
        times = [row.time_ns for row in rows]
        first = bisect_left(times, window.start_ns)
        if holds(metric) and first > 0:
            first -= 1
        rows = rows[first : bisect_left(times, window.end_ns)]
        texts = np.empty(len(rows), object)
        texts[:] = [row.text for row in rows]
        return Series(
            np.array([row.time_ns for row in rows], np.int64),
            np.array([row.value for row in rows], np.float64),
            np.array([row.quality for row in rows], np.int8),
            texts,
        )

    def samples(self, asset: str, metric: str, window: Window) -> list[Sample]:
        with self._lock:
            held = sorted(self._series.get((asset, metric), {}).values(), key=lambda sample: sample.time_ns)
        return [sample for sample in held if window.start_ns <= sample.time_ns < window.end_ns]

    def latest(self, asset: str | None = None) -> list[Sample]:
        with self._lock:
            return [
                rows[max(rows)] for (path, _), rows in sorted(self._series.items()) if asset is None or path == asset
            ]

    def next_time(self, asset: str, metric: str, after_ns: int) -> int | None:
        with self._lock:
            times = sorted(self._series.get((asset, metric), {}))
        index = bisect_right(times, after_ns)
        return times[index] if index < len(times) else None

    def inventory(self) -> list[SeriesInfo]:
        with self._lock:
            return [
                SeriesInfo(asset, metric, len(rows), min(rows), max(rows))
                for (asset, metric), rows in sorted(self._series.items())
            ]

    def forget(self, before_ns: int) -> None:
        """Drop samples, as retention does; what is in force at the limit stays."""
        with self._lock:
            self.kept_since_ns = before_ns
            for (_, metric), rows in self._series.items():
                old = sorted(time for time in rows if time < before_ns)
                for time in old[:-1] if holds(metric) else old:
                    del rows[time]
            self._series = {key: rows for key, rows in self._series.items() if rows}

    def kept_since(self) -> int:
        return self.kept_since_ns

    def changes(self, after: int) -> Changes:
        with self._lock:
            spans = tuple(dict.fromkeys(span for sequence, span in self._log if sequence > after))
            return Changes(self._sequence, spans)

    def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
        with self._lock:
            if self.fail_with is not None:
                raise self.fail_with
            for value in values:
                self._kpis[value.asset, value.kpi, value.kind, value.start_ns] = value
            self._cursor = cursor

    def cursor(self) -> int:
        return self._cursor

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        return self.read_many_kpis((asset,), (kpi,), window)[asset, kpi]

    def read_many_kpis(
        self, assets: Sequence[str], kpis: Sequence[str], window: Window
    ) -> dict[tuple[str, str], list[KpiValue]]:
        found: dict[tuple[str, str], list[KpiValue]] = {(asset, kpi): [] for asset in assets for kpi in kpis}
        with self._lock:
            for value in self._kpis.values():
                wanted = (value.asset, value.kpi) in found and window.kind in ("interval", value.kind)
                if wanted and window.overlaps(value.start_ns, value.end_ns):
                    found[value.asset, value.kpi].append(value)
        for values in found.values():
            values.sort(key=lambda value: (value.start_ns, value.end_ns, value.kind))
        return found

    def close(self) -> None:
        """Nothing to release."""


def _refusal(sample: Sample) -> str | None:
    if not math.isfinite(sample.value):
        return f"value {sample.value} is not a finite number"
    if not -(2**63) <= sample.time_ns < 2**63 or not -(2**63) <= sample.received_ns < 2**63:
        return "time is outside 64 bits"
    if sample.quality not in (0, 1, 2):
        return f"quality {sample.quality} is not 0, 1 or 2"
    try:
        f"{sample.asset}{sample.metric}{sample.text}".encode()
    except UnicodeEncodeError:
        return "text is not valid Unicode"
    return None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What `set_aside` was given."""

    source: str
    reason: str
    raw: bytes


class MemorySink:
    """A Sink that remembers what it was given, and can be told to be slow, to fail or to block.

    `delay_s` [s] is slept in each put; `fail_with` is raised instead of keeping; after `block()`, put waits for
    `unblock()`. `waiting` is the number of puts in hand, `most_waiting` its maximum so far.
    """

    def __init__(self, delay_s: float = 0.0, fail_with: StoreError | None = None) -> None:
        self.delay_s = delay_s
        self.fail_with = fail_with
        self.samples: list[Sample] = []
        self.dead_letters: list[DeadLetter] = []
        self.waiting = 0
        self.most_waiting = 0
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Condition()

    def block(self) -> None:
        self._open.clear()

    def unblock(self) -> None:
        self._open.set()

    async def put(self, samples: Sequence[Sample]) -> None:
        taken = list(samples)
        await self._pass()
        self.samples += taken
        await self._tell()

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        await self._pass()
        self.dead_letters.append(DeadLetter(source, reason, bytes(raw)))
        await self._tell()

    async def until(self, samples: int = 0, dead_letters: int = 0, seconds: float = 30.0) -> None:
        """Return once so many samples and dead letters are there; TimeoutError after `seconds` [s]."""

        def reached() -> bool:
            return len(self.samples) >= samples and len(self.dead_letters) >= dead_letters

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(reached)
        except TimeoutError:
            found = f"{len(self.samples)} samples and {len(self.dead_letters)} dead letters"
            raise TimeoutError(f"{found} after {seconds} s, not {samples} and {dead_letters}") from None

    async def _pass(self) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            if self.fail_with is not None:
                raise self.fail_with
        finally:
            self.waiting -= 1

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
