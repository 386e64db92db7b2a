"""New data, late data and passing time become the same thing: windows that are due.

Invariants
- A sample at t dirties [t, next sample of its metric] when its metric holds ([t, now] when it is the last), [t, t] when
  it does not, widened by how far a sample matters (`reach_ns`): then KPI values equal the batch answer for every order
  of arrival. The end is included, for a counter's next increment is counted there.
- The cursor is written with the values, in one transaction, and only once every window its changes made due is
  written, except open ones: those are recomputed after a restart anyway, as the last stored days tell.
- A window that began before what retention still keeps, and has a final figure, is never due again (see retained).
- When what figures depend on beside samples has changed (see settings), all history is due; the new fingerprint is
  written with the cursor that says it is done.
- Work per step is bounded in windows, and a read in time. What remains is due at the next step.
- An open window is refreshed when what it has not seen has reached 1/1440 of its length, at most every `refresh_s`, and
  later when there is more to refresh than a step has time for. It has not seen the time passed since, nor the stretch
  of it that samples have changed since: a history poured in is shown as it comes, a live plant costs no more.
- A window longer than a read (a week, a month) is evaluated at most every LONG_EVERY_NS, so that a backfill is not
  a month read again at each step; the cursor waits for it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import Final

from pipeline.kpis import evaluate as kpis
from pipeline.kpis import settings
from pipeline.reads import LONGEST_READ_NS, days_with_samples, groups, length
from pipeline.recent import Recent
from pipeline.retained import computable
from telemetry.errors import StoreError
from telemetry.glossary import holds
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Span, Window

LONG_EVERY_NS: Final = 60 * SECOND_NS
"""A window longer than LONGEST_READ_NS is evaluated no more often than this [ns]."""

REFRESH_WORK_S: Final = 0.05
"""A step that has taken so long [s] refreshes the open windows of no further asset."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step did: windows evaluated, and windows that are due and wait for the next step."""

    evaluated: int
    waiting: int


class Recompute:
    """Keeps the KPI values of a store up to date. One instance per store; `step` is not to be called concurrently."""

    def __init__(
        self, store: Store, plant: Plant, component: Component, *,
        now_ns: Callable[[], int] = time_ns, refresh_s: float = 5.0, windows_per_step: int = 500,
    ) -> None:  # fmt: skip
        self._store = store
        self._plant = plant
        self._component = component
        self._now_ns = now_ns
        self._refresh_ns = round(refresh_s * SECOND_NS)
        self._windows_per_step = windows_per_step
        self._taken: int | None = None  # cursor of the changes taken in; None before the first step
        self._due: dict[str, set[Window]] = {}
        self._open: dict[str, dict[Window, int]] = {}  # not final → when last evaluated [ns]
        self._unseen: dict[tuple[str, Window], tuple[int, int]] = {}  # of an open one: what changed since [ns]
        self._long: dict[tuple[str, Window], int] = {}  # long windows → when last evaluated [ns]
        self._reached: dict[str, int] = {}  # windows before this instant [ns] have been made due
        self._heard: dict[str, int] = {}  # newest sample taken in [ns]
        self._metrics: dict[str, set[str]] = {}
        self._unsaid: list[KpiValue] = []  # to be written once nothing is due: fingerprints of settings
        self._vanished: list[KpiValue] = []  # to be written next: windows that a new calendar does not have
        self._first: dict[str, int] = {}  # oldest sample [ns]
        self._recent = Recent(store)
        self._hurried = asyncio.Event()

    def step(self, *, all_open: bool = False) -> Progress:
        """Do the due windows once, at most `windows_per_step`. `all_open`: open windows too, whenever last refreshed.

        Raises StoreError; nothing is lost then, what was due stays due.
        """
        began, now = perf_counter(), self._now_ns()
        self._recent.now_ns = now
        if self._taken is None:
            self._resume(now)
        self._take_changes(now)
        self._take_time(now)
        values = list(self._vanished)
        done: list[tuple[str, Window]] = []
        for asset, windows in self._ready(now, began, all_open):
            metrics = self._metrics.get(asset.path, ())
            values += kpis.evaluate(self._recent, self._plant, asset, windows, now, metrics, self._settled(asset))
            done += [(asset.path, window) for window in windows]
        evaluated = set(done)
        left = [
            (path, window)
            for path, due in self._due.items()
            for window in due
            if (path, window) not in evaluated and window not in self._open.get(path, ())
        ]
        waiting = sum(not self._resting(path, window, now) for path, window in left)
        committed = self._store.cursor()
        assert self._taken is not None
        cursor = committed if left else self._taken
        if not left:
            values += self._unsaid
        if values or cursor != committed:
            self._store.write_kpis(values, cursor)
            self._vanished.clear()
            if not left:
                self._unsaid.clear()
        final = {(value.asset, value.window) for value in values if value.final}
        for path, window in done:
            self._due.get(path, set()).discard(window)
            self._unseen.pop((path, window), None)
            if length(window) > LONGEST_READ_NS:
                self._long[path, window] = now
            opened = self._open.setdefault(path, {})
            if (path, window) in final:
                opened.pop(window, None)
            else:
                opened[window] = now
        if all_open:
            waiting += sum(len(self._aged(asset, now, all_open)) for asset in self._plant.assets)
        self._component.count("windows", len(done))
        self._component.count("kpis", len(values))
        self._component.gauge("waiting_windows", waiting)
        self._component.gauge("resting_windows", sum(self._resting(path, window, now) for path, window in left))
        self._component.gauge("step_ms", 1000 * (perf_counter() - began))
        self._component.ok()
        return Progress(len(done), waiting)

    def hurry(self) -> None:
        """Have `run` take its next step now. To be called on its event loop."""
        self._hurried.set()

    async def run(self, every_s: float = 1.0) -> None:
        """Step until cancelled: at once while windows wait, else every `every_s` [s]. StoreError: wait and go on."""
        delay = every_s
        while True:
            self._hurried.clear()
            try:
                progress = await _finished(self.step)
                delay = 0.0 if progress.waiting else every_s
            except StoreError as error:
                self._recent.clear()
                self._component.failing(f"the store takes no KPI values: {error}")
                self._component.count("store_errors")
                delay = error.retry_after_s or min(30.0, max(every_s, 2 * delay))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):  # wait_for of Python 3.11 can lose a cancellation
                    await self._hurried.wait()

    def _resume(self, now: int) -> None:
        """Take up where the last process ended: at the first day that was not final, or at an asset's first sample."""
        taken = self._store.cursor()
        unsaid: list[KpiValue] = []
        vanished: list[KpiValue] = []
        for info in self._store.inventory():
            if info.asset not in self._plant or not kpis.matters(self._plant.asset(info.asset), info.metric):
                continue
            self._metrics.setdefault(info.asset, set()).add(info.metric)
            self._first[info.asset] = min(info.first_ns, self._first.get(info.asset, info.first_ns))
        for asset in self._plant.assets:
            name = kpis.marker(asset)
            if name is None:
                continue
            current = settings.fingerprint(self._plant, asset)
            former = self._store.read_kpis(asset.path, settings.SETTINGS, settings.AT)
            changed = [value.value for value in former] != [current.value]
            if changed:
                unsaid.append(current)
            if asset.path not in self._first:
                continue
            stored = self._store.read_kpis(asset.path, name, Window(0, now, "day"))
            start = self._first[asset.path]
            again = bool(stored) and changed
            if again:
                start = min(max(start, self._store.kept_since()), now)
                span = Window(self._first[asset.path], now)
                vanished += settings.void(asset, settings.gone(self._store, self._plant, asset, span))
            elif stored:
                # an hour that ends where the day starts may have been left not final
                start = min([value.start_ns for value in stored if not value.final], default=stored[-1].end_ns)
                start -= 3600 * SECOND_NS
            # Figures of days before the first sample: what they were made of was dropped, by this store or by another
            # that they were moved from. The windows at that edge keep theirs, too.
            dropped = stored and not changed and stored[0].end_ns <= self._first[asset.path]
            self._make_due(asset, start, now, now, again=again, limit=self._first[asset.path] if dropped else 0)
            self._reached[asset.path] = now
        self._unsaid, self._vanished = unsaid, vanished
        self._taken = taken  # last: a store that failed on the way is resumed from again

    def _take_changes(self, now: int) -> None:
        assert self._taken is not None
        changes = self._store.changes(self._taken)
        self._recent.tell(changes.spans)
        newest: dict[str, int] = {}
        for span in changes.spans:
            if span.asset not in self._plant:
                continue
            asset = self._plant.asset(span.asset)
            if not kpis.matters(asset, span.metric):
                continue
            self._first[span.asset] = min(span.first_ns, self._first.get(span.asset, span.first_ns))
            metrics = self._metrics.setdefault(span.asset, set())
            if span.metric not in metrics and kpis.is_counter(asset, span.metric):
                # which counters there are decides how good parts are found, in the past too
                self._make_due(asset, self._first[span.asset], now, now)
            metrics.add(span.metric)
            newest[span.asset] = max(newest.get(span.asset, span.last_ns), span.last_ns)
            start, end, reach = self._dirty(asset, span, now)
            self._make_due(asset, start, end + reach, now)
            self._note_unseen(span.asset, span.first_ns, min(end, now))
            self._reached.setdefault(span.asset, min(span.first_ns, now))
        for path, last_ns in newest.items():
            self._heard[path] = max(self._heard.get(path, last_ns), last_ns)
        self._taken = changes.cursor

    def _note_unseen(self, path: str, first: int, last: int) -> None:
        for window in self._open.get(path, ()):
            start, end = max(first, window.start_ns), min(last, window.end_ns)
            if start <= end:
                before = self._unseen.get((path, window), (start, end))
                self._unseen[path, window] = min(start, before[0]), max(end, before[1])

    def _settled(self, asset: Asset) -> Callable[[Window], bool]:
        """Which windows have their last word in the store: what is due, or computed in this step, is not there yet."""
        due, opened = self._due.get(asset.path, set()), self._open.get(asset.path, {})
        return lambda window: window not in due and window not in opened

    def _resting(self, path: str, window: Window, now: int) -> bool:
        """Whether a long window was evaluated only just."""
        last = self._long.get((path, window))
        return last is not None and last <= now < last + LONG_EVERY_NS

    def _dirty(self, asset: Asset, span: Span, now: int) -> tuple[int, int, int]:
        """The instants [ns], inclusive, that a change may have changed, and how far beyond [ns] it reaches."""
        back, forth = kpis.reach_ns(asset)
        start, end = span.first_ns - back, span.last_ns
        heard = self._heard.get(asset.path)
        if heard is not None and heard < span.first_ns:
            # the sample heard before it has ended the silence of every window that ended before that
            start = max(start, min(heard, span.first_ns - kpis.settle_ns(asset)))
        if kpis.is_input(asset, span.metric) and holds(span.metric):
            following = self._store.next_time(asset.path, span.metric, span.last_ns)
            end = now if following is None else following
        return start, end, forth

    def _take_time(self, now: int) -> None:
        """Windows begin as time passes."""
        for path, reached in self._reached.items():
            if now > reached:
                self._make_due(self._plant.asset(path), reached, now, now)
                self._reached[path] = now

    def _make_due(self, asset: Asset, start: int, end: int, now: int, *, again: bool = False, limit: int = 0) -> None:
        limit = max(limit, self._store.kept_since())
        # nothing is to be said of the time before the first sample, nor of a window that has not begun
        lived = max(start, self._first.get(asset.path, start)), min(end, now)
        back = max(kpis.reach_ns(asset))
        for piece in days_with_samples(self._store, asset.path, self._metrics.get(asset.path, ()), *lived, back):
            begun = (window for window in kpis.windows(self._plant, asset, piece) if window.start_ns < now)
            self._due.setdefault(asset.path, set()).update(computable(self._store, asset, begun, limit, again=again))

    def _ready(self, now: int, began: float, all_open: bool) -> Iterator[tuple[Asset, list[Window]]]:
        """What to evaluate in this step, each group one read, newest first; the longest waiting asset first.

        Refreshing open windows stops once the step has taken REFRESH_WORK_S: with many assets each waits its turn.
        """
        share = -(-self._windows_per_step // max(1, len(self._plant.assets)))  # a long backlog delays no other asset
        aged = {asset.path: self._aged(asset, now, all_open) for asset in self._plant.assets}
        order = sorted(self._plant.assets, key=lambda one: min(aged[one.path].values(), default=now))
        refreshed = False
        for asset in order:
            opened = self._open.get(asset.path, {})
            ready = {
                window
                for window in self._due.get(asset.path, ())
                if window not in opened and (all_open or not self._resting(asset.path, window, now))
            }
            if aged[asset.path] and (all_open or not refreshed or perf_counter() - began < REFRESH_WORK_S):
                ready |= aged[asset.path].keys()
                refreshed = True
            left = share
            for group in groups(sorted(ready, reverse=True)):
                if left <= 0:
                    break
                yield asset, group[:left]
                left -= len(group)

    def _aged(self, asset: Asset, now: int, all_open: bool) -> dict[Window, int]:
        """The open windows to refresh, and when they were last: by 1/1440 of its length a figure moves little."""
        due = self._due.get(asset.path, set())
        aged: dict[Window, int] = {}
        for window, last in self._open.get(asset.path, {}).items():
            if all_open:
                if last < now or window in due:
                    aged[window] = last
            elif last > now:  # our clock was set back: until it has come round again nothing would age
                aged[window] = last
            elif now - last >= self._refresh_ns and not self._resting(asset.path, window, now):
                first_unseen, last_unseen = self._unseen.get((asset.path, window), (0, 0))
                if max(now - last, last_unseen - first_unseen) >= length(window) // 1440:
                    aged[window] = last
        return aged


async def _finished(step: Callable[[], Progress]) -> Progress:
    """The step in a thread. A cancelled `await` does not stop a thread: it is waited for before cancelling goes on."""
    task = asyncio.create_task(asyncio.to_thread(step))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        with suppress(StoreError):  # nobody is left to be told
            task.result()
        raise
