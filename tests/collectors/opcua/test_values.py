"""From readings to samples: words, units, times and trust."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua.config import OpcUaNode
from collectors.opcua.values import NodeValues
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.samples import Quality, Sample
from telemetry.validity import Gate
from tests.collectors.opcua.peer import MILL, PLANT

NOW = 1_790_000_000_000_000_000


def values(metric: str, **settings: Any) -> NodeValues:
    return NodeValues(OpcUaNode(node="i=1", asset=MILL, metric=metric, **settings), Gate(PLANT, lambda: NOW))


def of(metric: str, value: object, status: int = 0, **settings: Any) -> tuple[float, str, int]:
    (sample,) = values(metric, **settings).samples(Reading(value, status, NOW - 5, NOW - 3), NOW)
    assert (sample.time_ns, sample.asset, sample.metric, sample.received_ns) == (NOW - 5, MILL, metric, NOW)
    return sample.value, sample.text, sample.quality


WORDS = {"RUN": "EXECUTING", "4": "SETUP", "true": "STARVED", "2.5": 7.0}


@pytest.mark.parametrize(
    ("sent", "state"), [("RUN", 3.0), (4, 4.0), (True, 5.0), (2.5, 7.0)], ids=["word", "code", "switch", "fraction"]
)
def test_states_by_their_words(sent: object, state: float) -> None:
    """A vendor's word, code or switch becomes the state that the plant file names for it."""
    assert of("state", sent, words=WORDS) == (state, "", Quality.GOOD)


def test_a_code_that_is_not_named_does_not_pass_for_one_of_ours() -> None:
    """With words given, code 3 is not taken for EXECUTING; "*" names what all others stand for."""
    with pytest.raises(DecodeError, match="'3' is not among the words of state"):
        of("state", 3, words=WORDS)
    assert of("state", 3, words={**WORDS, "*": "NOT_AVAILABLE"}) == (0.0, "", Quality.GOOD)


def test_without_words_our_own_names_and_numbers_are_understood() -> None:
    """A server that speaks the glossary needs no mapping."""
    assert of("state", "SETUP") == (4.0, "", Quality.GOOD)
    assert of("state", 6) == (6.0, "", Quality.GOOD)


def test_scale_and_offset() -> None:
    """kW to W, and °F to °C: 212 °F is 100 °C."""
    assert of("power", 1.5, scale=1000.0)[0] == 1500.0
    assert of("temperature", 212, scale=5 / 9, offset=-32 * 5 / 9)[0] == pytest.approx(100.0)


def test_a_counter_stays_exact() -> None:
    """2^53 parts, the last integer a float can count to, come through."""
    assert of("parts", 2**53)[0] == 9_007_199_254_740_992.0


def test_words_of_a_word() -> None:
    """Product and order numbers are words, whatever type the server chose; a mapping renames them."""
    assert of("product", "gear") == (0.0, "gear", Quality.GOOD)
    assert of("product", 4711) == (0.0, "4711", Quality.GOOD)
    assert of("product", 12.0) == (0.0, "12", Quality.GOOD)
    assert of("product", 7, words={"7": "flange"}) == (0.0, "flange", Quality.GOOD)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000_0000, (5.0, "", Quality.GOOD)),
        (0x0000_0480, (5.0, "", Quality.GOOD)),
        (0x4090_0000, (5.0, "", Quality.UNCERTAIN)),
        (0x8031_0000, (0.0, "", Quality.BAD)),
        (0xC000_0000, (0.0, "", Quality.BAD)),
    ],
    ids=["good", "good after an overflow", "uncertain", "bad", "reserved"],
)
def test_severity_becomes_quality(status: int, expected: tuple[float, str, int]) -> None:
    """OPC 10000-4, 7.39: the two highest bits are the severity; a bad value has no value."""
    assert of("power", 5.0, status) == expected


def test_which_time_a_sample_gets() -> None:
    """The source's; else the server's, else ours, and then it is uncertain; bad stays bad."""
    power = values("power")
    assert power.sample(Reading(1.0, 0, 0, NOW - 3), NOW) == Sample(NOW - 3, MILL, "power", 1.0, "", 1, NOW)
    assert power.sample(Reading(1.0, 0, 0, 0), NOW) == Sample(NOW, MILL, "power", 1.0, "", 1, NOW)
    assert power.sample(Reading(None, 0x8031_0000, 0, 0), NOW) == Sample(NOW, MILL, "power", 0.0, "", 2, NOW)


def test_no_value_yet_is_no_sample() -> None:
    """BadWaitingForInitialData bears the time of asking; kept, it would hide the older value that comes next."""
    assert values("state").sample(Reading(None, 0x8032_0000, 0, NOW), NOW) is None


@pytest.mark.parametrize(
    ("metric", "sent", "reason"),
    [
        ("power", "on", "'on' is a word"),
        ("power", None, "no value"),
        ("power", [1.0, 2.0], "an array of 2"),
        ("power", b"\x00", "a bytes"),
        ("power", float("nan"), "not a finite number"),
        ("rtt_lost", 2, "outside 0 … 1"),
        ("product", "x" * 1025, "longer than 1024"),
        ("state", 8, "outside 0 … 7"),
    ],
)
def test_what_cannot_become_a_sample_says_why(metric: str, sent: object, reason: str) -> None:
    """The reason is a sentence for the one who owns the machine."""
    with pytest.raises(DecodeError, match=reason):
        of(metric, sent)


def test_a_clock_that_was_never_set_is_refused() -> None:
    """A source time in 1970 is set aside, not stored as history."""
    with pytest.raises(DecodeError, match="before 2000"):
        values("power").sample(Reading(1.0, 0, 1_000_000_000, NOW), NOW)


NUMBERS = st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.sampled_from((0.0, 7, 7.5, 8.0, -0.0))
TIMES = st.sampled_from((0, 1, NOW, NOW + 86_400 * 10**9, NOW + 86_400 * 10**9 + 1, 946_684_800 * 10**9 - 1))


@given(NUMBERS, TIMES, st.sampled_from((0, 0x480, 0x4090_0000)), st.sampled_from(("state", "power", "parts", "order")))
def test_the_short_way_of_plain_numbers_is_the_long_way(value: float, at_ns: int, status: int, metric: str) -> None:
    """Whatever the number, its time and its status: the same sample, or the same refusal."""
    settings = {"scale": 0.5} if metric == "power" else {}
    reading = Reading(value, status, at_ns, 0)
    outcomes: list[object] = []
    for way in (lambda: values(metric, **settings).samples(reading, NOW), lambda: long_way(metric, reading, settings)):
        try:
            outcomes.append(way())
        except DecodeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def long_way(metric: str, reading: Reading, settings: dict[str, Any]) -> list[Sample]:
    sample = values(metric, **settings).sample(reading, NOW)
    return [] if sample is None else [sample]
