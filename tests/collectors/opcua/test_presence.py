"""Machines at rest and broken connections, from a real server through the store to the KPIs' knowledge of time."""

import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from collectors.opcua.presence import Presence
from pipeline.kpis.evaluate import evaluate
from telemetry.glossary import MachineState
from telemetry.health import Condition
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Quality, Sample, Window
from tests.collectors.opcua.peer import MILL, T0_MS, URI, Peer, Wire, config, peer
from tests.collectors.opcua.running import collecting
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink, MemoryStore

MS = 1_000_000
STATE = {"node": f"nsu={URI};s=state", "metric": "state"}


def known_share(sink: MemorySink, start_ns: int, end_ns: int, *, stale_after_s: float) -> float:
    """The coverage that a KPI of time gives for [start, end), from all that reached the sink."""
    store = MemoryStore()
    store.write(sink.samples)
    asset = Asset(path=MILL, name="mill", stale_after_s=stale_after_s, micro_stop_s=0)
    window, metrics = Window(start_ns, end_ns, "day"), {sample.metric for sample in sink.samples}
    values = evaluate(store, Plant(assets=(asset,)), asset, [window], end_ns, metrics)
    return next(value.coverage for value in values if value.kpi == "availability")


def told(sink: MemorySink, metric: str) -> list[Sample]:
    return [sample for sample in sink.samples if sample.metric == metric]


async def at_work(server: Peer, state: MachineState) -> int:
    """The machine takes a state now; the instant [ns]."""
    now_ms = time.time_ns() // MS
    await server.write(("state", {"Int32": int(state)}, now_ms - T0_MS))
    return now_ms * MS


async def test_a_machine_at_rest_is_known_to_be_at_rest() -> None:
    """One sample of its state, long ago: while the session lives, the state in force is known all the same."""
    sink = MemorySink()
    async with peer("state") as server, collecting(config(server.port, STATE, online_s=0.1), sink):
        start_ns = await at_work(server, MachineState.NOT_EXECUTING)

        def longest_ns() -> int:
            """The longest time without a word of ours; a busy machine lets us speak less often than we mean to."""
            times = sorted({start_ns, *(one.time_ns for one in told(sink, "online") if one.time_ns > start_ns)})
            return max((later - earlier for earlier, later in pairwise(times)), default=0)

        def end_ns() -> int:
            return max((one.time_ns for one in told(sink, "online")), default=0)

        await until(lambda: longest_ns() and end_ns() - start_ns > max(SECOND_NS, 4 * longest_ns()), 60)
        stale_after_s, end = longest_ns() / SECOND_NS + 0.001, end_ns()
    assert {sample.value for sample in told(sink, "online")} == {1.0}
    assert known_share(sink, start_ns, end, stale_after_s=stale_after_s) == 1.0
    alone = MemorySink()
    alone.samples += told(sink, "state")
    assert (
        known_share(alone, start_ns, end, stale_after_s=stale_after_s) < 0.3
    )  # what it would be without a word of ours


async def broken(server: Peer, sink: MemorySink, meanwhile: Callable[[], Awaitable[None]]) -> tuple[int, int, int, int]:
    """A break of a second and a half: instants [ns] of the start, the cut, the mending, the end."""
    path = Wire(server.port)
    await path.mend()
    async with collecting(config(path.port, STATE, online_s=0.1, timeout_ms=500), sink) as component:
        start_ns = await at_work(server, MachineState.EXECUTING)
        await until(lambda: any(sample.time_ns == start_ns for sample in told(sink, "state")))
        cut_ns = time.time_ns()
        await path.cut()
        await until(lambda: component.condition is Condition.FAILING)
        await meanwhile()
        await until(lambda: time.time_ns() > cut_ns + 3 * SECOND_NS // 2)
        mended_ns = time.time_ns()
        await path.mend()
        await until(lambda: component.condition is Condition.OK)
        await until(lambda: component.counted("holes_filled") + component.counted("holes_left") > 0)
        await until(lambda: told(sink, "online")[-1].time_ns > mended_ns + SECOND_NS // 2)
        end_ns = told(sink, "online")[-1].time_ns
    await path.cut()
    return start_ns, cut_ns, mended_ns, end_ns


async def test_a_break_that_history_fills_leaves_nothing_unknown() -> None:
    """What happened meanwhile is read from the server, and the whole time is known; the break is told all the same."""
    sink = MemorySink()
    async with peer("state", history=True) as server:

        async def stopped() -> None:
            await at_work(server, MachineState.NOT_EXECUTING)

        start_ns, cut_ns, mended_ns, end_ns = await broken(server, sink, stopped)
    assert known_share(sink, start_ns, end_ns, stale_after_s=900) == 1.0
    assert [sample.value for sample in told(sink, "online") if cut_ns < sample.time_ns < mended_ns] in ([], [0.0])
    assert len(told(sink, "break")) == 1
    assert [mended_ns - cut_ns <= sample.value * SECOND_NS for sample in told(sink, "repair")] == [True]


@pytest.mark.parametrize("changed", [False, True])
async def test_a_break_without_history_leaves_exactly_the_hole_unknown(changed: bool) -> None:
    """Unknown from the last sign of life to the next value known, whether it changed meanwhile or not."""
    sink = MemorySink()
    changes: list[int] = []
    async with peer("state") as server:

        async def maybe() -> None:
            if changed:
                changes.append(await at_work(server, MachineState.NOT_EXECUTING))

        start_ns, cut_ns, mended_ns, end_ns = await broken(server, sink, maybe)
    (unknown,) = (sample for sample in told(sink, "state") if sample.quality == Quality.BAD)
    assert cut_ns - 20 * SECOND_NS < unknown.time_ns < mended_ns
    again_ns = min(sample.time_ns for sample in told(sink, "state") if sample.time_ns > unknown.time_ns)
    if changed:
        assert again_ns == changes[0]
    else:
        assert mended_ns < again_ns < end_ns
    expected = 1 - (again_ns - unknown.time_ns) / (end_ns - start_ns)
    assert known_share(sink, start_ns, end_ns, stale_after_s=900) == pytest.approx(expected, abs=1e-9)


def test_online_is_said_again_as_often_as_was_asked_for() -> None:
    """The server speaks every second; what we say of it is a minute apart."""
    now = [100 * SECOND_NS]
    presence = Presence(60, lambda: now[0])
    presence.connected([MILL])
    said: list[Sample] = []
    for second in range(101, 401):
        now[0] = second * SECOND_NS
        said += presence.alive([MILL])
    assert [(one.time_ns // SECOND_NS, one.value) for one in said] == [(at, 1.0) for at in (160, 220, 280, 340, 400)]


SERIES = (MILL, "state")
RUNNING = Sample(90 * SECOND_NS, *SERIES, 3.0)


class Told:
    """What a connection says of one state, with a clock given by hand [s]."""

    def __init__(self) -> None:
        self.now = 100.0
        self.presence = Presence(60, lambda: round(self.now * SECOND_NS))
        self.sink = MemorySink()
        self.sink.samples += [*self.presence.connected([MILL]), RUNNING]
        self.presence.delivered([RUNNING], live=True)

    def broken(self, seconds: float) -> list[Sample]:
        """Nothing is heard for so long, and then the connection stands again; what that says of the state."""
        said = self.presence.lost([MILL], [SERIES], "cut")
        assert self.presence.lost([MILL], [SERIES], "still cut") == []
        self.now += seconds
        self.sink.samples += said + self.presence.connected([MILL])
        return [one for one in said if one.metric == "state"]

    def comes(self, value: Sample, *, live: bool = True) -> list[Sample]:
        """The server tells a value, as the first of a subscription, or from its history; what is stated again."""
        value = Sample(value.time_ns, *SERIES, value.value, received_ns=round(self.now * SECOND_NS))
        again = self.presence.delivered([value], live=live)
        self.sink.samples += [value, *again]
        return again

    def filled(self) -> list[Sample]:
        found = self.presence.filled(*SERIES)
        self.sink.samples += found
        return found

    def stands(self, seconds: float) -> None:
        self.now += seconds
        self.sink.samples += self.presence.alive([MILL])

    def known(self, start: float, end: float) -> float:
        return known_share(self.sink, round(start * SECOND_NS), round(end * SECOND_NS), stale_after_s=900)


def test_a_break_is_told_once_and_its_repair_tells_its_length() -> None:
    """Attempts that fail say nothing new; online, break and state bear the last sign of life."""
    told = Told()
    told.stands(30)
    told.broken(80)
    lost = [one for one in told.sink.samples if one.time_ns == 130 * SECOND_NS + 1]
    assert [(one.metric, one.value, one.quality) for one in lost] == [
        ("online", 0.0, 0),
        ("break", 0.0, 0),
        ("state", 0.0, 2),
    ]
    (repair,) = (one for one in told.sink.samples if one.metric == "repair")
    assert (repair.time_ns, repair.value) == (210 * SECOND_NS, 80.0)


def test_a_second_break_before_the_first_was_filled_is_unknown_of_its_own() -> None:
    """Cut from 130 to 210 and from 240 to 300, known in between: half of what was cut is not known, until history
    tells that nothing was missed in either."""
    told = Told()
    told.stands(30)
    (first,) = told.broken(80)
    told.comes(RUNNING)
    told.stands(30)
    (second,) = told.broken(60)
    assert (second.time_ns, second.quality) == (240 * SECOND_NS + 1, Quality.BAD)
    told.comes(RUNNING)
    told.stands(0)
    assert told.known(100, 300) == pytest.approx(1 - (80 + 60) / 200, abs=1e-6)
    filled = told.filled()
    assert [(one.time_ns, one.value, one.quality) for one in filled] == [
        (one.time_ns, 3.0, Quality.GOOD) for one in (first, second)
    ]
    assert told.known(100, 300) == 1.0


def test_each_break_is_filled_with_the_value_that_was_in_force_at_it() -> None:
    """The machine stopped in the first break, and the history that tells so is read after the second."""
    told = Told()
    told.stands(30)
    told.broken(80)
    told.comes(RUNNING)
    told.stands(30)
    told.broken(60)
    told.comes(Sample(150 * SECOND_NS, *SERIES, 2.0), live=False)
    assert [one.value for one in told.filled()] == [3.0, 2.0]


def test_of_breaks_with_nothing_known_between_them_each_is_filled() -> None:
    """Connected for ten seconds, and no value came: unknown from the first break on, and known once it is filled."""
    told = Told()
    told.stands(30)
    told.broken(80)
    told.stands(10)
    told.broken(60)
    told.comes(RUNNING)
    assert told.known(100, 280) == pytest.approx(30 / 180, abs=1e-6)
    told.filled()
    assert told.known(100, 280) == 1.0


def test_a_history_that_never_answers_does_not_let_the_breaks_pile_up() -> None:
    """Of a thousand breaks the last hundred wait to be filled; the others stay unknown."""
    told = Told()
    said = []
    for _ in range(1000):
        said += told.broken(10)
        told.stands(1)
        told.comes(RUNNING)
        told.stands(1)
    assert len(said) == 1000
    assert [one.time_ns for one in told.filled()] == [one.time_ns for one in said[-100:]]


def test_a_break_right_after_the_last_one_begins_after_what_was_stated_again() -> None:
    """Lost with the first message: the state was stated a moment after the last sign of life, and is unknown."""
    told = Told()
    told.stands(30)
    told.broken(80)
    told.now += 0.001
    (again,) = told.comes(RUNNING)
    (unknown,) = told.broken(60)
    assert unknown.time_ns > again.time_ns > 210 * SECOND_NS


def test_a_clock_behind_ours_does_not_bring_an_old_state_back() -> None:
    """The machine's clock is 10 s late: what it stamped before our break happened after it, and stays in force."""
    now = [100 * SECOND_NS]
    presence = Presence(60, lambda: now[0])
    presence.connected([MILL])
    presence.delivered([Sample(80 * SECOND_NS, MILL, "state", 3.0)], live=True)
    (unknown,) = (one for one in presence.lost([MILL], [(MILL, "state")], "cut") if one.metric == "state")
    now[0] = 130 * SECOND_NS
    presence.connected([MILL])
    presence.delivered([Sample(95 * SECOND_NS, MILL, "state", 2.0)], live=False)
    (filled,) = presence.filled(MILL, "state")
    assert (filled.time_ns, filled.value) == (unknown.time_ns, 2.0)


def test_of_values_that_come_together_after_a_break_the_newest_is_stated_again() -> None:
    """The server's queue holds two old values: what is in force now is the second, and the first is not said again."""
    now = [100 * SECOND_NS]
    presence = Presence(60, lambda: now[0])
    presence.connected([MILL])
    presence.delivered([Sample(60 * SECOND_NS, MILL, "state", 3.0)], live=True)
    presence.lost([MILL], [(MILL, "state")], "cut")
    now[0] = 130 * SECOND_NS
    came = [Sample(at * SECOND_NS, MILL, "state", value, received_ns=now[0]) for at, value in ((60, 3.0), (90, 2.0))]
    (again,) = presence.delivered(came, live=True)
    assert (again.time_ns, again.value) == (now[0], 2.0)
