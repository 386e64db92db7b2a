"""Faults of devices: what leaves a device whose clock, counters or wire are not as they should be."""

import json
from typing import Any, get_args

import pytest

from km0 import verify as command
from simulators.disturbance import Disturbance, Register
from simulators.faults import CONCERNS, EFFECTS, FAULTS, Done, Fault, FaultKind, drawn, possible, scheduled
from simulators.payloads import Message, value_messages
from simulators.scenario import library, open_scenario
from simulators.timeline import Event
from telemetry.errors import ConfigError
from tests.simulators.mqtt_peer import nanoseconds

PRESS = "km0/fabrication/cell-2/press-1"
T0 = 1_795_000_000 * 10**9
MINUTE = 60 * 10**9


def at(minutes: float) -> int:
    return T0 + round(minutes * MINUTE)


def disturbed(*faults: Fault, register: Register | None = None, done: Done | None = None) -> Disturbance:
    return Disturbance(
        PRESS, dict(enumerate(faults)), T0, 1, value_messages, done if done is not None else Done(), register
    )


def said(messages: list[Message]) -> list[tuple[float, Any]]:
    """(minute, value) of what messages carry on the wire, read from their own bytes."""
    found = []
    for message in messages:
        told = json.loads(message.payload)
        wire = [(nanoseconds(one["time"]), one["value"]) for one in (told if isinstance(told, list) else [told])]
        assert wire == [(time_ns // 1000 * 1000, value) for time_ns, _, value in message.events]  # for the journal
        found += [((time_ns - T0) / MINUTE, value) for time_ns, value in wire]
    return found


def counts(*minutes: float) -> list[Event]:
    """One part more at each of these."""
    return [(at(minute), "parts", number) for number, minute in enumerate(minutes)]


def test_every_fault_has_its_effect_and_those_whom_it_concerns() -> None:
    """Nothing can go wrong of which it is not said what it may do, and to whom."""
    kinds = {kind for literal in get_args(FaultKind) for kind in (get_args(literal) or (literal,))}
    assert set(FAULTS) == kinds == set(EFFECTS) == set(CONCERNS)


def test_a_clock_that_drifts_is_wrong_little_by_little_and_then_right() -> None:
    """12 s in twelve minutes: one second per minute, none before and none after. Behind, it is the other way round."""
    for by_s in (12.0, -12.0):
        wire = disturbed(Fault(kind="drift", at_min=10, for_min=12, by_s=by_s))
        told = said(wire.messages(counts(5, 10, 13, 21, 22, 30), at(60)))
        assert [minute for minute, _ in told] == pytest.approx(
            [5, 10, 13 + by_s / 240, 21 + 11 * by_s / 720, 22, 30], abs=1e-5
        )


def test_a_counter_rolls_over_with_the_first_part_after_the_fault() -> None:
    """A register of 100 that is to roll over at minute 3, with two parts made until then: 97, 98, 99, 0, 1."""
    life = counts(0, 1, 2, 4, 5)
    register = Register.rolling([event for event in life if event[0] < at(3)], 100)
    wire = disturbed(Fault(kind="counter-rollover", at_min=3), register=register)
    assert [value for _, value in said(wire.messages(life, at(60)))] == [97, 98, 99, 0, 1]


def test_a_counter_that_was_reset_after_it_rolled_over_begins_at_nought() -> None:
    """99, 0, 1, and then the reset: 0 at its instant, and from there one by one."""
    life = counts(0, 1, 2, 4, 5)
    register = Register(100, {"parts": 99})
    wire = disturbed(Fault(kind="counter-reset", at_min=3), register=register)
    assert said(wire.messages(life[:3], at(3))) == [(0, 99), (1, 0), (2, 1)]
    assert said(wire.messages(life[3:], at(60))) == [(3, 0), (4, 1), (5, 2)]


def test_what_nobody_can_use_is_noted_when_it_leaves_and_only_then() -> None:
    """Garbage that is lost with its message was never said; garbage that is late is said once, in the end."""
    done = Done()
    always = {"at_min": 0.0, "for_min": 10.0, "share": 1.0}
    garbled = Fault(kind="garbage", **always)
    assert disturbed(garbled, Fault(kind="lost", **always), done=done).messages(counts(1, 2), at(5)) == []
    assert done.unusable == []
    wire = disturbed(garbled, Fault(kind="late", **always), done=done)
    assert wire.messages(counts(1), at(5)) == []
    assert done.unusable == []
    _, garbage = wire.messages([], at(11))
    assert done.unusable == [(f"{PRESS}/parts", garbage.payload.hex())]


@pytest.mark.parametrize("name", library())
def test_faults_at_random_come_from_the_seed_and_concern_somebody(name: str) -> None:
    """The same seed draws the same faults, another draws others; all of them can befall an asset of the scenario."""
    scenario = open_scenario(name)
    kinds = possible(asset.kind for asset in scenario.assets)
    assert drawn(1, 8.0, kinds) == drawn(1, 8.0, kinds) != drawn(2, 8.0, kinds)
    for fault in (*drawn(1, 8.0, kinds), *scheduled(kinds, 8.0)):
        assert any(fault.concerns(asset.path, asset.kind) for asset in scenario.assets)
        start, end = fault.window_ns(0)
        assert 0 < start < end


def test_a_fault_that_concerns_nobody_is_refused_with_those_that_do() -> None:
    """There is no Sparkplug gateway at the press whose uplink could be lost."""
    scenario = open_scenario("wrong-reference-cycle")
    with pytest.raises(ConfigError, match=r"uplink-lost concerns nothing in this scenario; here can be late, .*frozen"):
        command.chosen_faults("late,uplink-lost", scenario)
