"""Packets joined with the radio, by hand."""

import math

import numpy as np
import pytest

from pipeline.kpis import radio
from telemetry.samples import SECOND_NS, Quality, Series

EVERY_SECOND = np.arange(900) * SECOND_NS


def test_by_cell() -> None:
    """300 packets before a cell was known, 300 in A and 300 in B, where a tenth is lost: B comes first."""
    delay = np.concatenate((np.full(300, 5.0), np.full(300, 10.0), np.full(300, 20.0)))
    delay[600::10] = math.nan
    cell = Series.of((300 * SECOND_NS, 0.0, "A"), (600 * SECOND_NS, 0.0, "B"))
    found = radio.by_cell(EVERY_SECOND, delay, cell)
    assert [(group.name, group.packets, group.p50_ms) for group in found] == [
        ("B", 300, 20),
        ("A", 300, 10),
        ("", 300, 5),
    ]
    assert found[0].loss_ratio == pytest.approx(0.1)
    assert found[0].p99_ms == math.inf


def test_by_signal() -> None:
    """A figure counts for a minute; packets after that are of unknown signal."""
    signal = Series.of((0, -75.0), (60 * SECOND_NS, -105.0))
    found = {group.name: group.packets for group in radio.by_band(EVERY_SECOND, np.full(900, 1.0), signal, "rsrp")}
    assert found == {"excellent": 60, "poor": 61, "": 779}


def test_by_handover() -> None:
    """Packets a second apart. A is named at 100 s, again at 200 s, B from 300 s: five seconds on both sides of that, 11
    packets, are around a handover; the first cell is none, nor is C, which follows a time of which nobody knows."""
    told = ((100, "A"), (200, "A"), (300, "B"), (400, "B"), (500, "C"))
    cell = Series.of(*((at * SECOND_NS, 0.0, name) for at, name in told))
    cell.quality[3] = Quality.BAD
    found = {group.name: group.packets for group in radio.by_handover(EVERY_SECOND, np.full(900, 1.0), cell)}
    assert found == {"": 200, "handover": 11, "steady": 689}
    assert radio.by_handover([0, 1], [1.0, 2.0], Series.empty())[0].name == ""
    (one,) = radio.by_handover([5], [1.0], Series.of((0, 0.0, "A")))
    assert one.name == "steady"


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("rsrp", -80, "excellent"),
        ("rsrp", -80.1, "good"),
        ("rsrp", -140, "out"),
        ("sinr", -5, "poor"),
        ("rsrq", -12, "good"),
    ],
)
def test_bands(metric: str, value: float, expected: str) -> None:
    """A band begins at its least value."""
    assert radio.band(metric, value) == expected


def test_nothing_known() -> None:
    """Without any radio figure every packet is of unknown circumstances."""
    (group,) = radio.by_cell([0, 1], [1.0, 2.0], Series.empty())
    assert (group.name, group.packets) == ("", 2)
    assert math.isnan(group.p99_ms)
    assert radio.by_cell([], [], Series.empty()) == []
