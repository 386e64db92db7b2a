"""Worked examples published by others, each under its own convention; see examples.json for sources and traps."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.kpis.oee import NAKAJIMA, SETUP_PLANNED, Oee, from_totals, pooled
from pipeline.kpis.reliability import reliability
from pipeline.kpis.signals import increments
from pipeline.kpis.states import Category
from telemetry.samples import Ratio, Series
from tests.support import shared_data


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    text = (shared_data("oee_examples") / "examples.json").read_text(encoding="utf-8")
    return {case["id"]: case for case in json.loads(text)["examples"]}


FIGURES = {"A": "availability", "DO": "availability", "TF": "availability", "tau1": "availability"}
FIGURES |= {"P": "performance", "TP": "performance", "tau2": "performance"}
FIGURES |= {"Q": "quality", "TQ": "quality", "tau3": "quality"}
FIGURES |= {"OEE": "trs", "TRS": "trs", "TRG": "trg", "TRE": "tre"}


def agrees(case: dict[str, Any], oee: Oee, exact: str = "exact", names: dict[str, str] = FIGURES) -> int:
    """How many figures were compared: with the exact values, and with the published ones within their tolerance."""
    compared = 0
    for kind, tolerance in ((exact, 1e-12), ("published", case["tol"])):
        for name, value in case[kind].items():
            if name in names:
                assert getattr(oee, names[name]).value == pytest.approx(value, abs=tolerance), (kind, name)
                compared += 1
        if exact != "exact":
            break
    return compared


def test_vorne(cases: dict[str, Any]) -> None:
    """The most copied example: 88.81 % × 86.11 % × 97.80 % = 74.79 %; without micro-stops all conventions agree."""
    given = cases["vorne_2003"]["inputs"]
    oee = from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"],
        cycle=given["ideal_cycle_s"] / 60, made=given["total"], reject=given["reject"],
    )  # fmt: skip
    assert (oee.required, oee.running, oee.good) == (420, 373, 18848)
    assert agrees(cases["vorne_2003"], oee) == 8


def test_flconsultants(cases: dict[str, Any]) -> None:
    """Running time is net time and the speed loss; what is missing of required time are own stops: 60 min."""
    given = cases["flconsultants_trs"]["inputs"]
    oee = from_totals(
        total=given["tT_min"], opening=given["tO_min"], planned_stops=given["pause_min"] + given["sous_charge_min"],
        stops={Category.INDUCED: given["arrets_induits_min"]}, speed_loss=given["ecarts_cadence_min"],
        cycle=given["cycle_min"], good=given["good"], reject=given["reject"],
    )  # fmt: skip
    assert (oee.required, oee.useful, oee.net, oee.running) == pytest.approx((450, 270, 282, 300))
    assert oee.stops[Category.OPERATION] == pytest.approx(60)
    assert agrees(cases["flconsultants_trs"], oee) == 11
    published = cases["flconsultants_trs"]["published"]
    assert (oee.net - oee.useful) / oee.required == pytest.approx(published["perte_qualite"], abs=0.00051)
    assert (oee.running - oee.net) / oee.required == pytest.approx(published["perte_cadence"], abs=0.00051)
    assert oee.stops[Category.INDUCED] / oee.required == pytest.approx(published["perte_arrets_induits"])


@pytest.mark.parametrize(("convention", "exact"), [(SETUP_PLANNED, "exact"), (NAKAJIMA, "exact_nakajima_convention")])
def test_preparation_in_or_out_of_required_time(cases: dict[str, Any], convention: Any, exact: str) -> None:
    """corrige119: the textbook takes preparation out of required time, Nakajima does not: 44.89 % or 42.93 %."""
    given = cases["corrige119_ex1"]["inputs"]
    oee = from_totals(
        opening=given["tO_min"], planned_stops=given["pause_min"],
        stops={
            Category.CHANGEOVER: given["preparation_min"],
            Category.BREAKDOWN: given["pannes_min"],
            Category.ADJUSTMENT: given["reglages_min"],
        },
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"], convention=convention,
    )  # fmt: skip
    assert agrees(cases["corrige119_ex1"], oee, exact) >= 4
    assert oee.convention is convention


def test_imsi(cases: dict[str, Any]) -> None:
    """Running time given as such: 403 of 480 min."""
    given = cases["imsi_oran_ex5"]["inputs"]
    oee = from_totals(
        required=given["tR_min"], running=given["tF_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip
    assert agrees(cases["imsi_oran_ex5"], oee) == 6


def test_ista(cases: dict[str, Any]) -> None:
    """Breakdowns and adjustments together; the worst rate is Tp."""
    given = cases["ista_oran_tpm_td"]["inputs"]
    oee = from_totals(
        opening=given["tO_min"], planned_stops=given["arrets_programmes_min"], stops=given["pannes_reglages_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip
    assert (oee.required, oee.running, oee.net, oee.useful) == (460, 375, 250, 225)
    assert agrees(cases["ista_oran_tpm_td"], oee) == 5


@pytest.mark.parametrize("name", ["versalytics_A123", "versalytics_B456", "versalytics_C789"])
def test_versalytics(cases: dict[str, Any], name: str) -> None:
    """C789 does not say its downtime: its OEE needs none."""
    given = cases[name]["inputs"]
    oee = from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"] or 0,
        cycle=given["cycle_s"] / 60, made=given["total"], reject=given["reject"],
    )  # fmt: skip
    assert agrees(cases[name], oee) >= 3


def test_versalytics_total(cases: dict[str, Any]) -> None:
    """Three processes of equal length: Σ useful / Σ required, coverage kept."""
    case = cases["versalytics_total"]
    ratios = [
        (Ratio(oee * planned, planned, 1.0), planned)
        for oee, planned in zip((0.8021978021978022, 0.7005494505494505, 0.558974358974359), (455,) * 3, strict=True)
    ]
    assert case["inputs"]["planned_min"] == [455, 455, 455]
    assert pooled(ratios).value == pytest.approx(case["exact"]["OEE_weighted"], abs=1e-6)
    assert pooled(ratios).coverage == 1.0


def test_teep_table(cases: dict[str, Any]) -> None:
    """Its "A" divides by opening time: its OEE is the norm's TRG, its TEEP the TRE; the TRS is 47.10 %."""
    case = cases["teep_table"]
    given = case["inputs"]
    uptime = given["total_h"] - given["idle_h"] - given["planned_down_h"] - given["unplanned_down_h"]
    oee = from_totals(
        total=given["total_h"], opening=given["total_h"] - given["idle_h"], planned_stops=given["planned_down_h"],
        stops=given["unplanned_down_h"], cycle=uptime / given["ideal_rate"], made=given["total"],
         reject=given["reject"],
    )  # fmt: skip
    assert oee.running == pytest.approx(case["intermediate"]["uptime_h"])
    assert oee.running / oee.opening == pytest.approx(case["exact"]["A"])
    assert oee.performance.value == pytest.approx(case["exact"]["P"])
    assert oee.ts.value == pytest.approx(case["published"]["U"], abs=case["tol"])
    for name, value in case["exact_nf"].items():
        assert getattr(oee, name.lower()).value == pytest.approx(value, rel=1e-12), name
    assert (case["exact"]["OEE"], case["exact"]["TEEP"]) == (case["exact_nf"]["TRG"], case["exact_nf"]["TRE"])


def test_celver(cases: dict[str, Any]) -> None:
    """Its availability implies 19 h of running and its performance 18 h: it is told, and TRS stays tU/tR = 80.83 %."""
    case = cases["celver"]
    given = case["inputs"]
    parts = {"cycle": Fraction(given["cycle_min"], 60), "made": given["total"], "good": given["good"]}
    by_stops = from_totals(required=given["planned_h"], stops=given["down_h"], **parts)
    by_running = from_totals(required=given["planned_h"], running=given["run_h_used_for_P"], **parts)
    both = from_totals(required=given["planned_h"], stops=given["down_h"], running=given["run_h_used_for_P"], **parts)
    published = by_stops.availability.value * by_running.performance.value * by_running.quality.value
    assert published == pytest.approx(case["exact"]["product"], rel=1e-12)
    assert published == pytest.approx(case["published"]["OEE"], abs=case["tol"])
    assert float(both.trs.value) == pytest.approx(case["exact"]["time_based"], rel=1e-12)
    assert not by_stops.findings
    assert "do not belong to one period" in both.findings[0]


def test_cncoptimization(cases: dict[str, Any]) -> None:
    """90 % × 79.37 % × 98 % = 70 %, exactly."""
    given = cases["cncoptimization"]["inputs"]
    oee = from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip
    assert agrees(cases["cncoptimization"], oee) == 4


def test_mtbf_log(cases: dict[str, Any]) -> None:
    """Eight failures in 160 h; the last repair ends at midnight; MTBF is up time ÷ failures."""
    case = cases["mtbf_log_2017"]

    def at(text: str) -> int:
        return int(np.datetime64(text, "ns").astype(np.int64))

    failures = np.array([[at(start), at(end)] for start, end in case["inputs"]["failures"]], np.int64)
    found = reliability(at(case["inputs"]["start"]), at("2017-03-08T00:00"), failures)
    assert (found.up_s / 3600, found.repair_s / 3600) == (142, 18)
    assert (found.mtbf_s / 3600, found.mttr_s / 3600, found.availability) == (17.75, 2.25, 0.8875)
    assert reliability(at("2017-03-01T08:00"), at("2017-03-08T00:00"), failures, "fe_plus_one").mttr_s == 7200


def test_flux_apq(cases: dict[str, Any]) -> None:
    """influxdata/flux apq_test: cumulative counters that do not start at 0, a state that runs to the window's end."""
    case = cases["flux_apq"]
    hour = 3_600_000_000_000
    times = [0, hour, 2 * hour, 3 * hour, 3 * hour + hour // 2]
    rows = case["inputs"]["rows"]
    made = increments(Series.of(*((time, row[2]) for time, row in zip(times, rows, strict=True)))).sum()
    bad = increments(Series.of(*((time, row[3]) for time, row in zip(times, rows, strict=True)))).sum()
    lengths = np.diff([*times, 4 * hour])
    running = sum(int(length) for length, row in zip(lengths, rows, strict=True) if row[1] == "running")
    assert running == case["published"]["runTime_ns"]
    oee = from_totals(
        required=8.0, running=running / hour, cycle=case["inputs"]["ideal_cycle_s"] / 3600, made=made, reject=bad
    )
    names = {"availability": "availability", "performance": "performance", "quality": "quality", "oee": "trs"}
    assert agrees(case, oee, names=names) == 8


def test_every_case_is_reproduced_above(cases: dict[str, Any]) -> None:
    """A case that is added to the examples needs a test that names its convention."""
    own = Path(__file__).read_text(encoding="utf-8")
    assert len(cases) == 14
    assert [name for name in cases if f'"{name}"' not in own] == []
