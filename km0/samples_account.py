"""What became of all that simulated devices published: stored, lost, doubled, set aside, one by one.

Invariant: a sample is its identity (asset, metric, source time), a message that nobody can use is its topic and bytes;
nothing is compared by number alone.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.ingest.dead_letters import DeadLetters
from simulators.faults import WIRE_FAULTS, Done
from simulators.journal import Published
from simulators.scenario import Scenario
from telemetry.protocols import Store
from telemetry.samples import Window

_ALL: Final = Window(0, 2**62)
_PAGE: Final = 1000
_BEFORE_BIRTH: Final = re.compile(r"\b[ND]DATA\b.* came before (the NBIRTH|its DBIRTH)")

Letters = Counter[tuple[str, bytes]]
"""Topic and bytes of dead letters."""


@dataclass(frozen=True)
class Samples:
    """What became of the samples: by identity (asset, metric, source time)."""

    sent: int
    """Published by the devices, lost on the way included."""
    stored: int
    lost: int
    lost_on_the_way: int
    """Of these, withheld by a fault, or alarms that nobody heard: the platform cannot have them."""
    duplicated: int
    """Written to the store again, and harmless."""
    duplicated_by_devices: int
    """Of these, published more than once; the others were delivered again when a wire broke."""
    invented: int
    """Stored, but published by nobody."""
    wrong: int
    """Stored with another value than the one published last."""
    set_aside: int
    """Dead letters."""
    set_aside_expected: int
    """Of these, what the devices said that nobody can use."""
    set_aside_again: int
    """Of these, the ones delivered again when a wire broke, or said to a host that had not heard the births yet."""
    set_aside_odd: int
    """Set aside for no known reason, or nowhere to be found though nobody can use it."""
    whole_wires: bool = True
    """No wire was broken and no state is told by several nodes, so nothing had to be written again."""

    @property
    def ok(self) -> bool:
        again = self.duplicated - self.duplicated_by_devices
        return (
            self.lost == self.lost_on_the_way
            and not self.wrong
            and not self.invented
            and not self.set_aside_odd
            and (not self.whole_wires or again == self.set_aside_again == 0)
        )


Latest = dict[tuple[str, str], dict[int, Published]]
"""(asset, metric) → source time [ns] → what was published last with it."""


def latest(published: Sequence[Published]) -> Latest:
    """What was published, by identity."""
    found: Latest = defaultdict(dict)
    for one in published:
        found[one.asset, one.metric][one.time_ns] = one
    return found


def _broken(scenario: Scenario) -> bool:
    kinds = {fault.kind for fault in scenario.faults}
    servers = any(asset.kind == "opcua" for asset in scenario.assets)
    return bool(kinds & set(WIRE_FAULTS)) or (servers and "type-change" in kinds)  # types change in a restart


def _blended(scenario: Scenario) -> bool:
    """Whether there are machines whose state is joined from several nodes: a late part has others told again."""
    return any(asset.kind == "opcua" and asset.speaks != "plain" for asset in scenario.assets)


def held(store: Store) -> int:
    """How many samples the store has."""
    return sum(series.samples for series in store.inventory())


def stored(store: Store, published: Latest) -> int:
    """How many of these the store has."""
    found = 0
    for (asset, metric), by_time in published.items():
        found += int(np.isin(_times(by_time), store.read(asset, metric, _ALL).times_ns, assume_unique=True).sum())
    return found


def _times(by_time: Mapping[int, object]) -> npt.NDArray[np.int64]:
    return np.fromiter(by_time, np.int64, len(by_time))


def account(
    store: Store,
    letters: DeadLetters,
    written: int,
    published: Sequence[Published],
    by_identity: Latest,
    done: Done,
    scenario: Scenario,
) -> Samples:
    """The account of a run that is over; `written`: samples that went to the store. Reads it all: for a thread."""
    wrong = 0
    for (asset, metric), by_time in by_identity.items():
        kept = store.read(asset, metric, _ALL)
        for time_ns, value, text in zip(kept.times_ns.tolist(), kept.values.tolist(), kept.texts.tolist(), strict=True):
            said = by_time.get(time_ns)
            if said is not None and (text if isinstance(said.value, str) else value) != said.value:
                wrong += 1
    told, there = sum(map(len, by_identity.values())), stored(store, by_identity)
    never = len({tuple(one) for one in done.withheld} - {(a, m, t) for (a, m), by in by_identity.items() for t in by})
    withheld = never
    if _broken(scenario):  # a collector whose wire was whole has to have heard everything
        unheard = _unheard(done, by_identity)
        withheld += sum(map(len, unheard.values())) - stored(store, unheard)
    # A Sparkplug host says again, at the time of a birth, what the birth says is in force: no device said that.
    restated = {asset.path for asset in scenario.assets if asset.kind == "sparkplug"}
    invented = sum(
        int((~np.isin(store.read(asset, metric, _ALL).times_ns, _times(by_identity.get((asset, metric), {})))).sum())
        for asset, metric in {(series.asset, series.metric) for series in store.inventory()}
        if asset not in restated
    )
    unusable = Counter((topic, bytes.fromhex(payload)) for topic, payload in done.unusable)
    aside, unborn = _set_aside(letters)
    if not _broken(scenario):
        aside, unborn = aside + unborn, Counter()
    return Samples(
        sent=told + never,
        stored=there,
        lost=told + never - there,
        lost_on_the_way=withheld,
        duplicated=max(0, written - held(store)),
        duplicated_by_devices=len(published) - told,
        invented=invented,
        wrong=wrong,
        set_aside=(aside + unborn).total(),
        set_aside_expected=unusable.total(),
        set_aside_again=sum((aside - unusable)[one] for one in unusable) + unborn.total(),
        set_aside_odd=(unusable - aside).total() + sum(aside[one] for one in aside if one not in unusable),
        whole_wires=not _broken(scenario) and not _blended(scenario),
    )


def _unheard(done: Done, published: Latest) -> Latest:
    """Alarms that no client has acknowledged: nobody listened, or who did was cut off before it had them for good."""
    found: Latest = defaultdict(dict)
    for asset, metric, time_ns in done.unheard:
        if (one := published.get((asset, metric), {}).get(time_ns)) is not None:
            found[asset, metric][time_ns] = one
    return found


def _set_aside(letters: DeadLetters) -> tuple[Letters, Letters]:
    """All dead letters, apart from them those that a Sparkplug host which came back heard before the births that it
    asked for: nobody can read them, and a node says again what it said while its primary host was away.

    Their sources are "collector:topic".
    """
    found, unborn = Letters(), Letters()
    before: int | None = None
    while page := letters.list(_PAGE, before):
        for letter in page:
            early = _BEFORE_BIRTH.search(letter.reason) is not None
            (unborn if early else found)[letter.source.partition(":")[2], letter.raw] += 1
        before = page[-1].id
    return found, unborn
