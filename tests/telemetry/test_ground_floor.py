"""Samples, the glossary, the gate and health: the words that every room relies on."""

import math

import msgspec
import pytest

from telemetry.glossary import METRICS, MachineState, holds
from telemetry.health import Condition, Health
from telemetry.samples import SECOND_NS, Ratio, Sample, Window
from telemetry.validity import EARLIEST_NS, Gate

NOW_NS = 1_700_000_000 * SECOND_NS
ASSET = "km0/fabrication/cell-1/mill-1"
GATE = Gate({ASSET}, now_ns=lambda: NOW_NS)


def test_a_sample_survives_the_spool_encoding_bit_by_bit() -> None:
    """Nanoseconds beyond 2**53 and awkward floats come back as they went."""
    sample = Sample(NOW_NS + 1, ASSET, "power", 0.1 + 0.2, "é", 1, NOW_NS)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sample), type=Sample) == sample


def test_machine_states_start_with_the_numbers_of_opc_40001() -> None:
    """MachineryItemState StateNumbers (OPC 40001-1): 0 NotAvailable, 1 OutOfService, 2 NotExecuting, 3 Executing."""
    assert [state.name for state in MachineState][:4] == [
        "NOT_AVAILABLE",
        "OUT_OF_SERVICE",
        "NOT_EXECUTING",
        "EXECUTING",
    ]
    assert METRICS["state"].maximum == max(MachineState)


def test_every_metric_says_what_it_means_in_both_languages() -> None:
    """A row of the glossary without a meaning, or under another name than its own, is a mistake."""
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.meaning
        assert metric.meaning_fr
        assert metric.minimum < metric.maximum


def test_states_counters_and_words_hold_and_measurements_do_not() -> None:
    """Late-data arithmetic depends on this flag."""
    assert holds("state")
    assert holds("parts")
    assert holds("product")
    assert not holds("rtt")
    assert not holds("power")
    assert not holds("no such metric")


@pytest.mark.parametrize("metric", METRICS)
def test_the_limits_of_a_metric_are_what_the_gate_lets_through(metric: str) -> None:
    """A number may go to its limits, inclusive; the next one beyond may not."""

    def passes(value: float) -> bool:
        sample = Sample(NOW_NS, ASSET, metric, value)
        sifted, refused = GATE.sift([sample])[0] == [sample], GATE.refusal(sample) is not None
        assert sifted is not refused
        return sifted

    least, most = GATE.limits(ASSET, metric)
    for limit, beyond in ((least, -math.inf), (most, math.inf)):
        assert passes(limit)
        assert not passes(math.nextafter(limit, beyond))


def test_the_limits_of_a_state_are_the_states_there_are() -> None:
    """And of an asset or a metric that is not known no number is good."""
    assert GATE.limits(ASSET, "state") == (0.0, 7.0)
    for asset, metric in (("km0/x/y", "state"), (ASSET, "colour")):
        least, most = GATE.limits(asset, metric)
        for value in (0.0, -math.inf, math.inf):
            assert not least <= value <= most
            assert GATE.refusal(Sample(NOW_NS, asset, metric, value)) is not None


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(NOW_NS, ASSET, "colour", 1.0), "unknown metric 'colour'"),
        (Sample(NOW_NS, "km0/x/y", "state", 1.0), "unknown asset 'km0/x/y'"),
        (Sample(NOW_NS, ASSET, "power", math.nan), "not a finite number"),
        (Sample(NOW_NS, ASSET, "power", math.inf), "not a finite number"),
        (Sample(NOW_NS, ASSET, "state", 9.0), "outside 0 … 7"),
        (Sample(NOW_NS, ASSET, "parts", -1.0), "outside 0"),
        (Sample(0, ASSET, "state", 3.0), "1970-01-01"),
        (Sample(EARLIEST_NS - 1, ASSET, "state", 3.0), "before 2000"),
        (Sample(NOW_NS + 25 * 3600 * SECOND_NS, ASSET, "state", 3.0), "more than a day ahead"),
        (Sample(2**62, ASSET, "state", 3.0), "more than a day ahead"),
        (Sample(NOW_NS, ASSET, "product", 0.0, "x" * 1025), "longer than 1024"),
    ],
)
def test_the_gate_refuses_what_cannot_be_kept_and_says_why(sample: Sample, words: str) -> None:
    """Each refusal is a sentence that names the value and, where it can, the way out."""
    reason = GATE.refusal(sample)
    assert reason is not None
    assert words in reason
    assert GATE.sift([sample]) == ([], [reason])


def test_the_gate_lets_through_an_hour_of_clock_skew() -> None:
    """A publisher in the wrong time zone is kept, with its own time, so that the skew can be seen."""
    for hours in (-1, 0, 1):
        sample = Sample(NOW_NS + hours * 3600 * SECOND_NS, ASSET, "state", 3.0)
        assert GATE.refusal(sample) is None
        assert GATE.sift([sample, sample]) == ([sample, sample], [])


def test_a_ratio_without_knowledge_is_not_a_number() -> None:
    """0/0, and anything with coverage 0, is NaN and never 0 % or 100 %."""
    assert Ratio(3, 4, 1.0).value == 0.75
    assert math.isnan(Ratio(0, 0, 1.0).value)
    assert math.isnan(Ratio(3, 4, 0.0).value)


def test_windows_are_half_open() -> None:
    """The end instant belongs to the next window."""
    window = Window(10, 20)
    assert window.overlaps(19, 30)
    assert not window.overlaps(20, 30)
    assert window.overlaps(10, 10)
    assert not window.overlaps(20, 20)
    with pytest.raises(ValueError, match="before it starts"):
        Window(20, 10)


def test_health_remembers_since_when() -> None:
    """The instant of a condition is that of its change, not of its last report."""
    now = [1]
    health = Health(now_ns=lambda: now[0])
    component = health.component("mqtt")
    now[0] = 2
    component.failing("refused")
    now[0] = 3
    component.failing("refused again")
    component.count("samples", 3)
    component.gauge("lag_ms", 1.5)
    assert health.component("mqtt") is component
    assert component.condition is Condition.FAILING
    assert health.snapshot() == [
        {
            "name": "mqtt",
            "condition": "failing",
            "since_ns": 2,
            "detail": "refused again",
            "lost": 0,
            "counts": {"samples": 3},
            "gauges": {"lag_ms": 1.5},
        }
    ]
