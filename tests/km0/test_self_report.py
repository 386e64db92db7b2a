"""What the platform says of itself, as samples of its own asset."""

import math

import pytest

from collectors.mqtt.decoder import Fault
from km0.self_report import samples
from telemetry.glossary import METRICS
from telemetry.health import Health

NOW = 1_795_300_000_000_000_000


def test_figures_of_health_become_samples() -> None:
    """Half a gigabyte of two waits: 25 %. Losses of all collectors are one figure; dead letters are the spool's own,
    which has those of the collectors too."""
    health = Health(lambda: NOW)
    health.component("spool").gauge("spooled_bytes", 500e6)
    health.component("spool").gauge("spooled_samples", 1234)
    health.component("spool").count("dead_letters", 5)
    health.component("spool").count("dead_letters_dropped", 2)
    health.component("cell-1").count("dead_letters", 3)
    health.component("cell-1").count("holes_left", 4)
    health.component("broker").count("reconnects", 6)
    health.component("drain").gauge("lag_ms", 87.5)
    found = {one.metric: one.value for one in samples("km0/platform/edge", health.snapshot(), 2_000_000_000, NOW)}
    assert found == {
        "spool_fill": 25.0, "spooled_samples": 1234, "dead_letters": 5, "samples_lost": 6, "reconnects": 6,
        "lag": 87.5,
    }  # fmt: skip
    assert found.keys() <= METRICS.keys()


def test_what_nobody_measured_yet_is_not_made_up() -> None:
    """A platform that has just started has no lag and no spool gauge: no sample of them, not a zero."""
    found = {one.metric for one in samples("km0/platform/edge", Health(lambda: NOW).snapshot(), 1, NOW)}
    assert found == {"dead_letters", "samples_lost", "reconnects"}


def test_what_mqtt_collectors_count_is_told_by_name() -> None:
    """Two brokers: counts are added, the younger connection tells since when both are there; refusals by reason."""
    health = Health(lambda: NOW)
    for name, since_s in (("hall", 100.0), ("printers", 40.0)):
        component = health.component(name)
        component.gauge("connected_since_s", NOW / 1e9 - since_s)
        component.gauge("in_flight", 7)
        for what, by in (("messages", 10), ("bytes", 1000), ("acknowledged", 9), ("duplicates", 2)):
            component.count(what, by)
    health.component("hall").count("refused_time", 3)
    found = {one.metric: one.value for one in samples("km0/platform/edge", health.snapshot(), 1, NOW)}
    assert {name: value for name, value in found.items() if name.startswith("mqtt_")} == {
        "mqtt_connected": pytest.approx(40, abs=1e-3), "mqtt_in_flight": 14, "mqtt_messages": 20, "mqtt_bytes": 2000,
        "mqtt_acknowledged": 18, "mqtt_duplicates": 4, "mqtt_refused_time": 3,
    }  # fmt: skip
    assert found.keys() <= METRICS.keys()
    health.component("hall").gauge("connected_since_s", math.nan)
    gone = {one.metric: one.value for one in samples("km0/platform/edge", health.snapshot(), 1, NOW)}
    assert gone["mqtt_connected"] == 0


def test_every_reason_of_a_refusal_has_its_metric() -> None:
    """A fault that a decoder may name is in the glossary, so that it is told."""
    assert {f"mqtt_refused_{fault.name.lower()}" for fault in Fault} <= METRICS.keys()
