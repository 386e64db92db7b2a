"""What the platform says of itself, as samples of its own asset."""

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
    health.component("cell-1").count("overflows", 4)
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
