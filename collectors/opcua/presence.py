"""Whether the source was there, told as samples: what nobody could tell in between is unknown, not "as before".

A subscription sends changes. A machine that stands still says nothing, and its state in force is known all the same
while keep-alives arrive: `online` = 1 says so. When they stop, its state is unknown from the last sign of life on.

Invariants:
- at the last sign of life before a break every state gets a sample of quality BAD, never earlier than the newest
  sample delivered of it;
- that sample is replaced by the value in force once nothing was missed (the server kept the subscription, or its
  history was read), and only then; of a state that is never filled the last MOST_BREAKS breaks wait for it, and the
  earlier ones stay unknown;
- a state that did not change during a break bears an old source time; it is stated again at the time we received it,
  or the break would never end for it. (Not at the server's time: some stamp the writing, not the reading.)
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from telemetry.samples import SECOND_NS, Quality, Sample

Series = tuple[str, str]
"""An asset and one of its metrics."""

MOST_BREAKS: Final = 100
"""Breaks of one state that are remembered while its history does not answer."""


class Presence:
    """What one collector says of its connection: every `every_s` [s] that it stands; 0: nothing at all."""

    def __init__(self, every_s: float, now_ns: Callable[[], int]) -> None:
        self._every_ns: Final = round(every_s * SECOND_NS)
        self._now_ns: Final = now_ns
        self._heard_ns = 0
        self._said_ns = 0
        self._in_force: Final[dict[Series, Sample]] = {}
        self._broken = False
        self._unknown: Final[dict[Series, list[tuple[int, Sample | None]]]] = {}
        """Of each break not filled yet: from when on [ns] a state is unknown, and the value in force then."""
        self._restated_ns: Final[dict[Series, int]] = {}
        """When [ns] a state was last stated again."""
        self._unstated: Final[dict[Series, int]] = {}
        """States whose value after the break has not come yet, and from when on [ns] they are unknown."""

    @property
    def heard_ns(self) -> int:
        """The last sign of life [ns], 0 before the first."""
        return self._heard_ns

    @property
    def states(self) -> Mapping[Series, Sample]:
        """The newest value of each state."""
        return self._in_force

    def resume(self, heard_ns: int, states: Iterable[Sample]) -> None:
        """Take up what a former process knew; what is between its last sign of life and now is a break."""
        self._heard_ns = heard_ns
        self._in_force.update({(sample.asset, sample.metric): sample for sample in states})

    def connected(self, assets: Collection[str]) -> list[Sample]:
        """The connection stands: `online` is 1, and after a break `repair` tells its length [s]."""
        if not self._every_ns:
            return []
        now, since = self._now_ns(), self._heard_ns
        self._heard_ns = self._said_ns = now
        said = [_of(asset, "online", now, 1.0) for asset in assets]
        if self._broken:
            self._broken = False
            away_s = max(0.0, (now - since) / SECOND_NS)
            said += [_of(asset, "repair", now, away_s, f"connected again after {away_s:.1f} s") for asset in assets]
        return said

    def alive(self, assets: Collection[str]) -> list[Sample]:
        """The server spoke. Says so when it is time to."""
        self._heard_ns = now = self._now_ns()
        if not self._every_ns or now - self._said_ns < self._every_ns:
            return []
        self._said_ns = now
        return [_of(asset, "online", now, 1.0) for asset in assets]

    def lost(self, assets: Collection[str], states: Iterable[Series], why: str) -> list[Sample]:
        """The connection is gone since the last sign of life: said once for each break."""
        if not self._every_ns or self._broken or not self._heard_ns:
            return []
        self._broken = True
        at = self._heard_ns
        said = []
        for asset in assets:
            said += [_of(asset, "online", at + 1, 0.0), _of(asset, "break", at + 1, 0.0, why[:1000])]
        for series in states:
            before, breaks = self._in_force.get(series), self._unknown.setdefault(series, [])
            newest_ns = before.time_ns if before is not None else 0
            since = max(at, newest_ns, self._restated_ns.get(series, 0)) + 1
            breaks.append((since, before))
            del breaks[:-MOST_BREAKS]
            self._unstated[series] = since
            said.append(Sample(since, *series, 0.0, "", Quality.BAD, self._now_ns()))
        return said

    def delivered(self, samples: Iterable[Sample], *, live: bool) -> list[Sample]:
        """Take note of states that came together, `live` or from history; returns what must be stated again."""
        newest: dict[Series, Sample] = {}
        for sample in samples:
            series = (sample.asset, sample.metric)
            if series not in newest or sample.time_ns >= newest[series].time_ns:
                newest[series] = sample
            known = self._in_force.get(series)
            if known is None or sample.time_ns >= known.time_ns:
                self._in_force[series] = sample
            breaks = self._unknown.get(series, [])
            for number, (since, before) in enumerate(breaks):
                if (before.time_ns if before is not None else 0) <= sample.time_ns < since:
                    # A clock behind ours: what the source stamped before the break may have come to be after it.
                    breaks[number] = (since, sample)
        again = []
        for series, sample in newest.items() if live else ():
            if (stated := self._unstated.pop(series, 0)) >= sample.time_ns:
                self._restated_ns[series] = max(sample.received_ns, stated + 1)
                again.append(_restated(sample, self._restated_ns[series]))
        return again

    def filled(self, asset: str, metric: str) -> list[Sample]:
        """Nothing of the series was missed in any break: the value in force at each takes the place of "unknown"."""
        known = [(since, before) for since, before in self._unknown.pop((asset, metric), ()) if before is not None]
        if known:
            self._unstated.pop((asset, metric), None)
        return [_restated(before, since) for since, before in known]

    def left(self, asset: str, metric: str) -> None:
        """What was missed of the series is gone: that it is unknown stays."""
        self._unknown.pop((asset, metric), None)


def _of(asset: str, metric: str, at_ns: int, value: float, text: str = "") -> Sample:
    return Sample(at_ns, asset, metric, value, text, Quality.GOOD, at_ns)


def _restated(sample: Sample, at_ns: int) -> Sample:
    return Sample(at_ns, sample.asset, sample.metric, sample.value, sample.text, sample.quality, sample.received_ns)
