"""The drain: moves batches from the spool to the store, in order, and forgets them once the store has them.

Invariants:
- One write at a time, so samples reach the store in the order of `put`.
- A batch leaves the spool only after the store took it or refused it for ever; what it refused becomes dead letters in
  the same commit. A crash in between repeats a write, which the store does not mind.
- The store is called in a thread of the drain's own: a slow one delays nobody else. When more waits than fits into one
  write, the next is read and decoded meanwhile; at most two are in memory.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import time_ns
from typing import Final

import msgspec

from pipeline.ingest.batches import Batch, Letter, refused
from pipeline.ingest.spool import Spool
from telemetry.errors import RejectedError, StoreError
from telemetry.health import Component
from telemetry.protocols import Store
from telemetry.samples import Sample

OnStored = Callable[[Sequence[Sample], int], None]
"""Told which samples the store took, and when it had them [ns since the epoch]. Called in the event loop."""

_decode: Final = msgspec.msgpack.Decoder(list[Sample]).decode


@dataclass(frozen=True, slots=True)
class _Load:
    """What goes into one write, and letters for the batches that cannot be read."""

    batches: Sequence[Batch]
    samples: Sequence[Sample]
    letters: Sequence[Letter]


class Drain:
    """Empties the spool for ever. A write goes off when `max_samples` wait or the first did for `max_age_s` [s]."""

    def __init__(
        self,
        spool: Spool,
        store: Store,
        component: Component,
        *,
        on_stored: OnStored | None = None,
        max_samples: int = 50_000,
        max_bytes: int = 8_000_000,
        max_age_s: float = 0.2,
        first_delay_s: float = 0.5,
        longest_delay_s: float = 30.0,
        finish_s: float = 2.0,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spool = spool
        self._store = store
        self._component = component
        self._on_stored = on_stored
        self._max_samples = max_samples
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._first_delay_s = first_delay_s
        self._longest_delay_s = longest_delay_s
        self._finish_s = finish_s
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._failures = 0
        self._loads: deque[_Load] = deque()  # the one in hand, kept until the store has it, and the one after it

    async def run(self) -> None:
        """Until cancelled; the write in hand is finished first, for at most `finish_s` [s]."""
        executor = ThreadPoolExecutor(2, "drain")
        try:
            while True:
                await self._spool.gathered(self._max_samples, self._max_age_s)
                step = asyncio.create_task(self._step(executor), name="drain step")
                try:
                    delay_s = await asyncio.shield(step)
                except asyncio.CancelledError:
                    await asyncio.wait({step}, timeout=self._finish_s)
                    raise
                if delay_s:
                    await self._sleep(delay_s)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    async def _step(self, executor: ThreadPoolExecutor) -> float:
        """Move what fits into one write; the delay [s] before the next try, when the store takes nothing."""
        loop = asyncio.get_running_loop()
        ahead: asyncio.Future[_Load] | None = None
        try:
            if not self._loads:
                self._loads.append(await loop.run_in_executor(executor, self._load, 0))
            load = self._loads[0]
            if len(self._loads) == 1 and load.batches and self._spool.samples - len(load.samples) >= self._max_samples:
                ahead = loop.run_in_executor(executor, self._load, load.batches[-1].id)
            samples, letters = load.samples, load.letters
            started_ns = time_ns()
            try:
                await loop.run_in_executor(executor, self._store.write, samples)
                stored_ns = time_ns()
            except RejectedError as error:
                stored_ns = time_ns()
                letters = [*letters, *(refused(samples[index], why) for index, why in sorted(error.reasons.items()))]
                self._component.count("rejected", len(error.reasons))
                samples = [sample for index, sample in enumerate(samples) if index not in error.reasons]
        except StoreError as error:
            return self._failed(error)
        finally:
            if ahead is not None:
                with suppress(StoreError):  # met again when its turn comes
                    following = await ahead
                    if following.batches:
                        self._loads.append(following)
        self._failures = 0
        self._component.ok()
        self._component.count("samples", len(samples))
        self._component.gauge("write_ms", (stored_ns - started_ns) / 1e6)
        if samples:
            self._component.gauge("lag_ms", (stored_ns - max(sample.time_ns for sample in samples)) / 1e6)
            if self._on_stored is not None:
                self._on_stored(samples, stored_ns)
        await self._spool.remove(load.batches, letters)
        self._loads.popleft()
        self._component.gauge("spooled_batches", self._spool.batches)
        return 0.0

    def _load(self, after: int) -> _Load:
        """What comes after a batch, as much as fits into one write. Raises StoreError."""
        batches = self._spool.read(self._max_samples, self._max_bytes, after)
        samples: list[Sample] = []
        letters: list[Letter] = []
        for batch in batches:
            try:
                samples += _decode(batch.body)
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                letters.append(Letter("spool", f"a spooled batch cannot be read: {error}", batch.body))
        return _Load(batches, samples, letters)

    def _failed(self, error: StoreError) -> float:
        """Jittered exponential back-off [s], or what the store asked for and a little more."""
        doubled = self._first_delay_s * 2.0 ** min(self._failures, 16)
        delay_s = min(doubled, self._longest_delay_s) * self._rng.uniform(0.5, 1.0)
        if error.retry_after_s is not None:
            delay_s = error.retry_after_s * self._rng.uniform(1.0, 1.1)
        self._failures += 1
        self._component.count("write_failures")
        self._component.failing(f"{error}; samples wait in the spool, next try in {delay_s:.1f} s")
        return delay_s
