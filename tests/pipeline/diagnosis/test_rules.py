"""Every rule on a life whose truth is known: one that must be found, with its figures, and one that must not."""

import numpy as np
import pytest

from pipeline.diagnosis import chance
from pipeline.diagnosis.finding import Confidence
from pipeline.diagnosis.subject import Link, Source
from pipeline.diagnosis.table import RULES
from pipeline.kpis.link import ANSWERED, LOST, Probes
from pipeline.kpis.use_cases import USE_CASES
from telemetry.glossary import MachineState as S
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Window
from tests.pipeline.diagnosis.lives import DAY, MONDAY, found, machine, of, running

HOUR = 3600.0


def test_largest_losses_by_hand() -> None:
    """10 h: 2 h down in two stops, one of 90 min with a cause; 1 h of set-up; 6 min of micro-stops are below 3 %."""
    states = [(0, S.EXECUTING), (HOUR, S.OUT_OF_SERVICE), (2.5 * HOUR, S.EXECUTING), (4 * HOUR, S.OUT_OF_SERVICE),
              (4.5 * HOUR, S.EXECUTING), (6 * HOUR, S.SETUP), (7 * HOUR, S.EXECUTING),
              (8 * HOUR, S.NOT_EXECUTING), (8 * HOUR + 100, S.EXECUTING)]  # fmt: skip
    reasons = [(HOUR, "belt"), (2.5 * HOUR, ""), (4 * HOUR, "jam")]
    one = machine(states, 10 * HOUR, cost=60.0, reasons=reasons)
    first, second = of("largest_losses", found(one))
    assert first.match.words == {"category": "breakdown", "cause": "belt"}
    assert first.match.variant == "cause"
    assert first.match.figures == pytest.approx({"lost": 7200, "share": 0.2, "times": 2, "cause_share": 0.75})
    assert (first.match.gain.seconds, first.match.gain.cost) == pytest.approx((7200, 120))
    assert (second.match.words["category"], second.match.gain.seconds) == ("changeover", pytest.approx(3600))
    assert first.match.confidence is Confidence.SURE


def test_no_large_losses() -> None:
    """A machine that makes a part every minute, as it should, has none; nor has one that was never required."""
    states, made = running(8 * HOUR)
    assert not found(machine(states, 8 * HOUR, made=made))


def _micro_stops(per_hour: list[int]) -> list[tuple[float, int]]:
    """Stops of 20 s, so many in each hour, evenly spread."""
    states: list[tuple[float, int]] = [(0.0, S.EXECUTING)]
    for hour, count in enumerate(per_hour):
        for n in range(count):
            at = hour * HOUR + (n + 0.5) * HOUR / count
            states += [(at, S.NOT_EXECUTING), (at + 20, S.EXECUTING)]
    return states


def test_micro_stops_in_clusters() -> None:
    """2 an hour, but 60 in two of 20 hours: the excess over the usual 2 is 116 stops of 20 s."""
    counts = [2] * 20
    counts[4] = counts[13] = 60
    [one] = of("micro_stop_clusters", found(machine(_micro_stops(counts), 20 * HOUR)))
    assert one.match.figures["times"] == 156
    assert one.match.figures["worst_share"] == pytest.approx(120 / 156)
    # hours with many stops had a little less time to run: within 1 %
    assert one.match.gain.seconds == pytest.approx(116 * 20, rel=0.01)


def test_micro_stops_evenly_spread_are_no_cluster() -> None:
    """As many, but by chance at one rate."""
    rng = np.random.default_rng(1)
    assert not of("micro_stop_clusters", found(machine(_micro_stops(rng.poisson(8, 20).tolist()), 20 * HOUR)))


def _days_of_pace(paces: list[float]) -> tuple[np.ndarray, np.ndarray]:
    times = np.concatenate([day * DAY + np.arange(pace, DAY, pace) for day, pace in enumerate(paces)])
    return times, np.arange(len(times), dtype=np.float64)


def test_cycle_that_drifts() -> None:
    """60 s, half a second more each day for 20 days: +15.8 %, and the time above 60 s a part."""
    paces = [60 + 0.5 * day for day in range(20)]
    one = machine([(0, S.EXECUTING)], 20 * DAY, made=_days_of_pace(paces))
    [drift] = of("cycle_drift", found(one))
    assert drift.match.figures["grown"] == pytest.approx(9.5 / 60, rel=0.02)
    assert drift.match.confidence is Confidence.SURE
    assert drift.match.gain.seconds == pytest.approx(sum(DAY * (1 - 60 / pace) for pace in paces), rel=0.02)


def test_cycle_that_wanders_does_not_drift() -> None:
    """The same spread in no order; a growth of 1 %; four days."""
    rng = np.random.default_rng(2)
    wandering = [60 + 0.5 * day for day in rng.permutation(20)]
    for paces in (wandering, [60 + 0.03 * day for day in range(20)], [60, 62, 64, 66]):
        one = machine([(0, S.EXECUTING)], len(paces) * DAY, made=_days_of_pace(paces))
        assert not of("cycle_drift", found(one))


def _setups(scrap_after: float, scrap_else: float) -> list[object]:
    """Ten set-ups of 30 min, each followed by 3.5 h at a part a minute; scrap spread evenly at two rates."""
    states: list[tuple[float, int]] = []
    times, made, good = [], [], []
    total = bad = 0.0
    for n in range(10):
        start = n * 4 * HOUR
        states += [(start, S.SETUP), (start + 0.5 * HOUR, S.EXECUTING)]
        for minute in range(1, 210):
            total += 1
            bad += scrap_after if minute < 30 else scrap_else
            times.append(start + 0.5 * HOUR + minute * 60)
            made.append(total)
            good.append(total - np.floor(bad))
    return of("scrap_after_changeover", found(machine(states, 40 * HOUR, made=(times, made), good=good)))  # type: ignore[return-value]


def test_scrap_after_changeovers() -> None:
    """20 % in the first half hour, 2 % later."""
    [one] = _setups(0.2, 0.02)
    figures = one.match.figures  # type: ignore[attr-defined]
    assert figures["after"] == pytest.approx(0.2, abs=0.01)
    assert figures["otherwise"] == pytest.approx(0.02, abs=0.002)
    # 29 parts after each of 10 set-ups, 18 % too many
    assert figures["excess"] == pytest.approx(290 * 0.18, rel=0.06)


def test_scrap_at_all_times_is_not_the_changeovers() -> None:
    """5 % always, and a little more that may be chance."""
    assert not _setups(0.05, 0.05)
    assert not _setups(0.06, 0.05)


def _weeks(monday: float, others: float, weeks: int = 6) -> list[object]:
    rng = np.random.default_rng(3)
    states: list[tuple[float, int]] = []
    for day in range(7 * weeks):
        share = (monday if day % 7 == 0 else others) + rng.uniform(-0.04, 0.04)
        states += [(day * DAY, S.EXECUTING), (day * DAY + share * DAY, S.OUT_OF_SERVICE)]
    return of("slow_mondays", found(machine(states, 7 * weeks * DAY)))  # type: ignore[return-value]


def test_slow_mondays() -> None:
    """60 % on six Mondays, 80 % on other days: a fifth of six days is to be won."""
    [one] = _weeks(0.6, 0.8)
    match = one.match  # type: ignore[attr-defined]
    assert (match.variant, match.figures["count"]) == ("do", 6)
    assert match.figures["mondays"] == pytest.approx(0.6, abs=0.03)
    assert match.gain.seconds == pytest.approx(0.2 * 6 * DAY, rel=0.25)


def test_mondays_like_other_days() -> None:
    """The same share every day; and two Mondays are too few to say."""
    assert not _weeks(0.8, 0.8)
    assert not _weeks(0.5, 0.8, weeks=2)


def test_a_machine_that_waits_for_another() -> None:
    """The saw stands still 30 min every 4 h; two minutes later the lathe starves until it runs again."""
    saw, lathe = [(0.0, int(S.EXECUTING))], [(0.0, int(S.EXECUTING))]
    for n in range(6):
        at = n * 4 * HOUR + HOUR
        saw += [(at, S.OUT_OF_SERVICE), (at + 1800, S.EXECUTING)]
        lathe += [(at + 120, S.STARVED), (at + 1920, S.EXECUTING)]
    one, other = machine(lathe, DAY, name="lathe"), machine(saw, DAY, name="saw")
    [chain] = of("starved_or_blocked", found(one, other))
    assert (chain.match.variant, chain.match.asset, chain.match.words["other"]) == ("starved_by", "site/lathe", "saw")
    assert chain.match.figures["together"] == pytest.approx(1.0)
    assert chain.match.gain.seconds == pytest.approx(6 * 1800)
    [alone] = of("starved_or_blocked", found(one))
    assert alone.match.variant == "starved"
    # a machine that stands at other times is not to blame
    shifted = machine([(t + 2 * HOUR if t else 0.0, s) for t, s in saw], DAY, name="saw")
    [unrelated] = of("starved_or_blocked", found(one, shifted))
    assert unrelated.match.variant == "starved"


def test_waits_that_another_machine_explains_do_not_hide_the_others() -> None:
    """The saw starves the lathe for 20 min; for 3 h nobody came. Both are told: the first explains little of the other.
    When it explains all, it is told once."""
    saw = [(0, S.EXECUTING), (HOUR, S.OUT_OF_SERVICE), (HOUR + 1200, S.EXECUTING)]
    waits = [(0, S.EXECUTING), (HOUR, S.STARVED), (HOUR + 1200, S.EXECUTING)]
    lathe = [*waits, (4 * HOUR, S.NOT_EXECUTING), (7 * HOUR, S.EXECUTING)]
    reasons = [(4 * HOUR, "no operator"), (7 * HOUR, "")]
    other = machine(saw, 10 * HOUR, name="saw")
    everything = found(machine(lathe, 10 * HOUR, reasons=reasons), other)
    [chain] = of("starved_or_blocked", everything)
    assert (chain.match.variant, chain.match.figures["lost"]) == ("starved_by", pytest.approx(1200))
    [induced] = [one for one in of("largest_losses", everything) if one.match.asset == "site/lathe"]
    assert induced.match.words["category"] == "induced"
    assert induced.match.figures["lost"] == pytest.approx(1200 + 3 * HOUR)
    for others in ((other,), ()):  # whoever is to blame
        explained = found(machine(waits, 10 * HOUR), *others)
        assert len(of("starved_or_blocked", explained)) == 1
        assert not [one for one in of("largest_losses", explained) if one.match.asset == "site/lathe"]


def test_waits_that_are_told_hide_no_large_loss_beside_them() -> None:
    """Two hours starved, nearly two without an operator: neither is the smaller part of nothing."""
    lathe = [(0, S.EXECUTING), (HOUR, S.STARVED), (3 * HOUR, S.EXECUTING)]
    lathe += [(5 * HOUR, S.NOT_EXECUTING), (6.9 * HOUR, S.EXECUTING)]
    everything = found(machine(lathe, 10 * HOUR, reasons=[(5 * HOUR, "no operator"), (6.9 * HOUR, "")]))
    [waits] = of("starved_or_blocked", everything)
    assert waits.match.figures["lost"] == pytest.approx(2 * HOUR)
    [induced] = of("largest_losses", everything)
    assert induced.match.figures["lost"] == pytest.approx(3.9 * HOUR)
    assert induced.match.words["cause"] == "no operator"


@pytest.mark.parametrize("order", [("saw", "drill", "washer"), ("washer", "drill", "saw"), ("drill", "washer", "saw")])
def test_who_waits_itself_is_nobodys_cause(order: tuple[str, ...]) -> None:
    """The saw stands, drill and washer starve at the same moments: the saw is named, in whatever order they come."""
    own, waits = [(0.0, int(S.EXECUTING))], [(0.0, int(S.EXECUTING))]
    for n in range(6):
        at = n * 4 * HOUR + HOUR
        own += [(at, S.OUT_OF_SERVICE), (at + 1800, S.EXECUTING)]
        waits += [(at + 120, S.STARVED), (at + 1920, S.EXECUTING)]
    line = [machine(own if name == "saw" else waits, DAY, name=name) for name in order]
    told = of("starved_or_blocked", found(*line))
    assert {one.match.words["other"] for one in told if one.match.variant == "starved_by"} == {"saw"}
    [chain] = [one for one in told if one.match.variant == "chain"]
    assert chain.match.asset == "site/saw"
    # the machines that wait, without the one that is to blame, blame nobody
    rest = [one for one in line if one.shown != "saw"]
    assert {one.match.variant for one in of("starved_or_blocked", found(*rest))} == {"starved"}


def test_a_machine_that_hardly_waits() -> None:
    """1 % of the time is not worth a line."""
    assert not of(
        "starved_or_blocked", found(machine([(0, S.EXECUTING), (HOUR, S.BLOCKED), (HOUR + 800, S.EXECUTING)], DAY))
    )


def test_a_reference_cycle_that_is_beaten() -> None:
    """A part every 50 s against a reference of 60 s: Tp is 120 %, the real cycle 50 s."""
    states, made = running(10 * HOUR, 50)
    [one] = of("wrong_reference_cycle", found(machine(states, 10 * HOUR, made=made)))
    assert one.match.figures["tp"] == pytest.approx(1.2, rel=0.01)
    assert one.match.figures["real"] == pytest.approx(50, rel=0.01)
    assert np.isnan(one.match.gain.seconds)


def test_a_reference_cycle_that_is_missing() -> None:
    """Without one, the best hours are proposed: 55 s, where the others took 66 s."""
    times = np.concatenate([hour * HOUR + np.arange(1, HOUR // pace) * pace
                            for hour, pace in enumerate([55, 66, 66, 66, 66, 66, 66, 66])])  # fmt: skip
    one = machine([(0, S.EXECUTING)], 8 * HOUR, made=(times, np.arange(len(times))), cycle=None)
    [missing] = of("wrong_reference_cycle", found(one))
    assert missing.match.variant == "missing"
    assert 55 <= missing.match.figures["best"] < 66


def test_a_reference_cycle_that_is_right() -> None:
    """60 s, or a little slower: no finding."""
    for pace in (60, 61, 75):
        states, made = running(10 * HOUR, pace)
        assert not of("wrong_reference_cycle", found(machine(states, 10 * HOUR, made=made)))


def test_low_coverage() -> None:
    """Two hours of ten unknown, in two gaps; 1 % is passed over."""
    gaps = [(0, S.EXECUTING), (HOUR, -1), (2.5 * HOUR, S.EXECUTING), (5 * HOUR, -1), (5.5 * HOUR, S.EXECUTING)]
    _, made = running(10 * HOUR)
    [one] = of("low_coverage", found(machine(gaps, 10 * HOUR, made=made)))
    assert one.match.figures == pytest.approx({"unknown": 7200, "share": 0.2, "gaps": 2, "longest": 5400})
    little = [(0, S.EXECUTING), (HOUR, -1), (HOUR + 300, S.EXECUTING)]
    assert not of("low_coverage", found(machine(little, 10 * HOUR, made=made)))


def test_counts_that_are_missing() -> None:
    """A counter that starts at half time: TRS is known for half."""
    _, made = running(10 * HOUR, start_s=5 * HOUR)
    [one] = of("low_coverage", found(machine([(0, S.EXECUTING)], 10 * HOUR, made=made)))
    assert (one.match.variant, round(one.match.figures["share"], 2)) == ("parts", 0.5)


@pytest.mark.parametrize(
    ("source", "lags", "variant"),
    [
        (Source("f", rows=1000, out_of_order=30), {}, "order"),
        (Source("f", rows=1000, bad_rows=60, bad_times=60, skipped_times=60), {}, "skipped"),
        (Source("f", rows=1000, bad_rows=60, bad_times=60), {}, "unreadable"),
        (Source("f"), {"site/lathe": -30.0}, "ahead"), (Source("f"), {"site/lathe": 3700.0}, "behind"),
        (Source("f", rows=100_000, out_of_order=1, bad_rows=1, bad_times=1), {"site/lathe": 0.4}, ""),
    ],
)  # fmt: skip
def test_clock_problems(source: Source, lags: dict[str, float], variant: str) -> None:
    """Rows that run backwards, times that never were, sources ahead or behind; one row in 100,000 is none."""
    states, made = running(8 * HOUR)
    seen = of("clock_problems", found(machine(states, 8 * HOUR, made=made), source=source, lags=lags))
    assert [one.match.variant for one in seen] == ([variant] if variant else [])


def _link(delays: np.ndarray, case: str) -> Link:
    times = MONDAY * SECOND_NS + np.arange(len(delays)) * 40_000_000
    fate = np.where(np.isnan(delays), LOST, ANSWERED).astype(np.int8)
    probes = Probes(times, delays, 1.0, fate, np.empty(0), np.empty(0), np.nan, np.nan, np.nan, USE_CASES[case])
    asset = Asset(path="site/link", name="5G", kind="link", use_case=case)
    return Link(asset, Window(int(times[0]), int(times[-1]) + 1), probes)


def test_a_network_that_is_not_fit() -> None:
    """Every 25th message later than 40 ms twice in a row: the service is down 4 % of the time."""
    delays = np.full(5000, 12.0)
    delays[::25] = delays[1::25] = delays[2::25] = 200.0
    [one] = of("network_unfit", found(links=[_link(delays, "mobile-robots-standard")]))
    assert one.match.variant == "not_met"
    assert one.match.figures["reached"] < 0.99


def test_a_network_not_shown_fit_yet_and_one_that_is() -> None:
    """200 s without a failure do not show 99.9999 %; for 99.9 % at 10 ms, 4,000 s with a message every 40 ms are too
    seldom to see every failure, and sensors at 100 ms need an hour."""
    short = _link(np.full(5000, 12.0), "mobile-robots-standard")
    [one] = of("network_unfit", found(links=[short]))
    assert (one.match.variant, one.match.confidence) == ("not_shown", Confidence.UNSURE)
    assert one.match.figures["hours"] > 1
    [seldom] = of("network_unfit", found(links=[_link(np.full(100_000, 5.0), "augmented-reality")]))
    assert seldom.match.variant == "too_seldom"
    assert not of("network_unfit", found(links=[_link(np.full(200_000, 12.0), "process-monitoring")]))


@pytest.mark.parametrize(("bad", "variant", "misleads"), [(40, None, False), (60, "rows", False),
                                                          (300, "rows", True), (700, "mostly_bad", True)])  # fmt: skip
def test_rows_that_could_not_be_used(bad: int, variant: str | None, misleads: bool) -> None:
    """From 5 % on they are a finding, from 20 % on it comes before every gain, from half on it says not to decide."""
    states = [(0, S.EXECUTING), (HOUR, S.OUT_OF_SERVICE), (3 * HOUR, S.EXECUTING)]
    everything = found(machine(states, 10 * HOUR), source=Source("f.csv", 1000, bad))
    told = of("low_coverage", everything)
    assert [one.match.variant for one in told if not one.match.asset] == ([] if variant is None else [variant])
    assert (everything[0].rule == "low_coverage") == misleads


def test_findings_come_by_gain() -> None:
    """The largest gain first; those without one at the end, the surest first."""
    states = [(0, S.EXECUTING), (HOUR, S.OUT_OF_SERVICE), (3 * HOUR, S.EXECUTING), (5 * HOUR, S.SETUP),
              (6 * HOUR, -1), (7 * HOUR, S.EXECUTING)]  # fmt: skip
    gains = [one.match.gain.seconds for one in found(machine(states, 10 * HOUR))]
    assert gains[:2] == pytest.approx([7200, 3600])
    assert np.isnan(gains[2:]).all()


def test_every_rule_has_words_for_every_variant_it_names() -> None:
    """Titles, evidence and checks in both languages."""
    assert len(RULES) == 11
    for rule in RULES:
        for words in rule.words.values():
            for said in (words.title, words.evidence, words.check):
                assert said.en
                assert said.fr
                assert said.en != said.fr


def test_chance_by_published_values() -> None:
    """Φ(1.96) = 0.975; Mann-Kendall of a rising series of ten: S = 45, z = 44/√125 = 3.935, p = 8.3e-5; chi-squared of
    18.307 on 10 degrees is 5 %."""
    assert chance.above(1.959964) == pytest.approx(0.025, abs=1e-6)
    slope, p = chance.trend(np.arange(10))
    assert (slope, p) == (1.0, pytest.approx(8.3e-5, rel=0.01))
    # eleven cells of 100 expected each, one of them so far off that chi-squared is 18.307
    off = np.sqrt(18.307 * 100 / (1 + 1 / 10))
    counts = np.full(11, 100.0) - off / 10
    counts[0] = 100 + off
    assert chance.dispersion(counts, np.ones(11)) == pytest.approx(0.05, abs=0.002)
    assert chance.smaller([1, 2, 3], [4, 5, 6]) == pytest.approx(0.04, abs=0.01)
    assert chance.more_often(10, 100, 10, 100) == pytest.approx(0.5)
