"""Worked examples published by others, each under its own convention; see examples.json for sources and traps."""

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pytest

from pipeline.kpis.iso22400 import mtbf, mttr
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import NAKAJIMA, NF_E60_182, SETUP_PLANNED, Convention, Oee, from_totals, pooled
from pipeline.kpis.signals import increments
from pipeline.kpis.states import Category
from telemetry.glossary import MachineState
from telemetry.plant import Asset, Plant
from telemetry.samples import Ratio, Series, Window
from tests.pipeline.kpis.timeline import HOUR, reader
from tests.support import shared_data

Given = Mapping[str, Any]


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    text = (shared_data("oee_examples") / "examples.json").read_text(encoding="utf-8")
    return {case["id"]: case for case in json.loads(text)["examples"]}


def vorne(given: Given) -> Oee:
    return from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"],
        cycle=given["ideal_cycle_s"] / 60, made=given["total"], reject=given["reject"],
    )  # fmt: skip


def flconsultants(given: Given) -> Oee:
    return from_totals(
        total=given["tT_min"], opening=given["tO_min"], planned_stops=given["pause_min"] + given["sous_charge_min"],
        stops={Category.INDUCED: given["arrets_induits_min"]}, speed_loss=given["ecarts_cadence_min"],
        cycle=given["cycle_min"], good=given["good"], reject=given["reject"],
    )  # fmt: skip


def corrige119(given: Given, convention: Convention = SETUP_PLANNED) -> Oee:
    """The textbook takes preparation out of required time."""
    return from_totals(
        opening=given["tO_min"], planned_stops=given["pause_min"],
        stops={
            Category.CHANGEOVER: given["preparation_min"],
            Category.BREAKDOWN: given["pannes_min"],
            Category.ADJUSTMENT: given["reglages_min"],
        },
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"], convention=convention,
    )  # fmt: skip


def imsi(given: Given) -> Oee:
    return from_totals(
        required=given["tR_min"], running=given["tF_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip


def ista(given: Given) -> Oee:
    return from_totals(
        opening=given["tO_min"], planned_stops=given["arrets_programmes_min"], stops=given["pannes_reglages_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip


def versalytics(given: Given) -> Oee:
    """C789 does not say its downtime: its OEE needs none."""
    return from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"] or 0,
        cycle=given["cycle_s"] / 60, made=given["total"], reject=given["reject"],
    )  # fmt: skip


def teep(given: Given) -> Oee:
    uptime = given["total_h"] - given["idle_h"] - given["planned_down_h"] - given["unplanned_down_h"]
    return from_totals(
        total=given["total_h"], opening=given["total_h"] - given["idle_h"], planned_stops=given["planned_down_h"],
        stops=given["unplanned_down_h"], cycle=uptime / given["ideal_rate"], made=given["total"],
        reject=given["reject"],
    )  # fmt: skip


def celver(given: Given, **times: Any) -> Oee:
    parts = {"cycle": Fraction(given["cycle_min"], 60), "made": given["total"], "good": given["good"]}
    return from_totals(required=given["planned_h"], **(times or {"stops": given["down_h"]}), **parts)


def cncoptimization(given: Given) -> Oee:
    return from_totals(
        opening=given["shift_min"], planned_stops=given["breaks_min"], stops=given["downtime_min"],
        cycle=given["cycle_min"], made=given["total"], reject=given["reject"],
    )  # fmt: skip


def mtbf_log(given: Given) -> Oee:
    """The events as samples of a machine; the figures as of any machine."""

    def at(text: str) -> int:
        return int(np.datetime64(text, "ns").astype(np.int64))

    window = Window(at(given["start"]), at("2017-03-08T00:00"))
    rows = [(window.start_ns, MachineState.EXECUTING)]
    for start, end in given["failures"]:
        rows += [(at(start), MachineState.OUT_OF_SERVICE), (at(end), MachineState.EXECUTING)]
    press = Asset(path="km0/a/press", name="press", stale_after_s=1e6)
    series = {"state": Series.of(*((time, float(state), "") for time, state in rows))}
    zone = Plant(timezone="UTC").zone
    return MachineHistory(press, None, zone, window, window.end_ns, reader(series), series).over(window)


def flux(given: Given) -> Oee:
    """Cumulative counters that do not start at 0, a state that runs to the window's end."""
    times = [0, HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR + HOUR // 2]
    rows = given["rows"]
    made, bad = (
        increments(Series.of(*((time, row[column]) for time, row in zip(times, rows, strict=True)))).sum()
        for column in (2, 3)
    )
    lengths = np.diff([*times, 4 * HOUR])
    running = sum(int(length) for length, row in zip(lengths, rows, strict=True) if row[1] == "running")
    return from_totals(
        required=given["planned_h"], running=running / HOUR, cycle=given["ideal_cycle_s"] / 3600, made=made, reject=bad
    )


FIGURES: Final = {
    "availability": ("A", "DO", "TF", "tau1", "availability", "D"),
    "performance": ("P", "TP", "tau2", "performance"),
    "quality": ("Q", "TQ", "tau3", "quality"),
    "trs": ("OEE", "TRS", "oee"),
    "trg": ("TRG",),
    "tre": ("TRE",),
}
"""Which figure of ours the examples mean by which name."""

ANSWERS: Final[dict[str, Callable[[Given], Oee]]] = {
    "vorne_2003": vorne, "flconsultants_trs": flconsultants, "corrige119_ex1": corrige119, "imsi_oran_ex5": imsi,
    "ista_oran_tpm_td": ista, "versalytics_A123": versalytics, "versalytics_B456": versalytics,
    "versalytics_C789": versalytics, "cncoptimization": cncoptimization, "mtbf_log_2017": mtbf_log, "flux_apq": flux,
}  # fmt: skip


def answers(oee: Oee) -> dict[str, float]:
    """Every figure by every name that the examples give it."""
    found = {name: getattr(oee, figure).value for figure, names in FIGURES.items() for name in names}
    return found | {
        "MTBF_h": mtbf(oee).value / 3600, "MTTR_h": mttr(oee).value / 3600, "TBF_h": mtbf(oee).numerator / 3600,
        "TTR_h": mttr(oee).numerator / 3600,
    }  # fmt: skip


def agrees(case: Given, found: Mapping[str, float], exact: str = "exact") -> int:
    """How many figures were compared: with the exact values, and with the published ones within their tolerance."""
    compared = 0
    for kind, tolerance in ((exact, 1e-12), ("published", case["tol"])):
        for name, value in case[kind].items():
            if name in found:
                assert found[name] == pytest.approx(value, abs=tolerance), (case["id"], kind, name)
                compared += 1
        if exact != "exact":
            break
    return compared


COMPARED: Final = {
    "vorne_2003": 8, "flconsultants_trs": 11, "corrige119_ex1": 8, "imsi_oran_ex5": 6, "ista_oran_tpm_td": 5,
    "versalytics_A123": 5, "versalytics_B456": 5, "versalytics_C789": 3, "cncoptimization": 4, "mtbf_log_2017": 10,
    "flux_apq": 8,
}  # fmt: skip
"""How many values each example states."""


def test_every_case_is_computed_and_is_what_was_published(cases: dict[str, Any]) -> None:
    """Every value that an example states, exact where its inputs are; a case that is added has to be computed here."""
    compared = {name: agrees(cases[name], answers(make(cases[name]["inputs"]))) for name, make in ANSWERS.items()}
    assert compared == COMPARED
    # these three state something else than a figure of their inputs, or mean other figures: each has a test below
    assert cases.keys() - ANSWERS.keys() == {"versalytics_total", "teep_table", "celver"}


def test_vorne(cases: dict[str, Any]) -> None:
    """The most copied example: 88.81 % × 86.11 % × 97.80 % = 74.79 %; without micro-stops all conventions agree."""
    oee = vorne(cases["vorne_2003"]["inputs"])
    assert (oee.required, oee.running, oee.good) == (420, 373, 18848)


def test_flconsultants(cases: dict[str, Any]) -> None:
    """Running time is net time and the speed loss; what is missing of required time are own stops: 60 min."""
    oee = flconsultants(cases["flconsultants_trs"]["inputs"])
    assert (oee.required, oee.useful, oee.net, oee.running) == pytest.approx((450, 270, 282, 300))
    assert oee.stops[Category.OPERATION] == pytest.approx(60)
    published = cases["flconsultants_trs"]["published"]
    assert (oee.net - oee.useful) / oee.required == pytest.approx(published["perte_qualite"], abs=0.00051)
    assert (oee.running - oee.net) / oee.required == pytest.approx(published["perte_cadence"], abs=0.00051)
    assert oee.stops[Category.INDUCED] / oee.required == pytest.approx(published["perte_arrets_induits"])


@pytest.mark.parametrize(
    ("convention", "exact", "trs"),
    [(SETUP_PLANNED, "exact", 0.4489), (NAKAJIMA, "exact_nakajima_convention", 0.4293), (NF_E60_182, None, 0.4293)],
)
def test_preparation_in_or_out_of_required_time(
    cases: dict[str, Any], convention: Convention, exact: str | None, trs: float
) -> None:
    """corrige119: the textbook takes preparation out of required time, Nakajima and the norm do not."""
    case = cases["corrige119_ex1"]
    oee = corrige119(case["inputs"], convention)
    assert oee.trs.value == pytest.approx(trs, abs=5e-5)
    assert exact is None or agrees(case, answers(oee), exact) >= 4
    assert oee.convention is convention


def test_ista(cases: dict[str, Any]) -> None:
    """Breakdowns and adjustments together; the worst rate is Tp."""
    oee = ista(cases["ista_oran_tpm_td"]["inputs"])
    assert (oee.required, oee.running, oee.net, oee.useful) == (460, 375, 250, 225)


def test_versalytics_total(cases: dict[str, Any]) -> None:
    """Three processes of equal length: Σ useful / Σ required of them, coverage kept."""
    case = cases["versalytics_total"]
    each = [versalytics(cases[f"versalytics_{name}"]["inputs"]) for name in ("A123", "B456", "C789")]
    assert [oee.required for oee in each] == case["inputs"]["planned_min"]
    assert [oee.trs.value for oee in each] == pytest.approx(case["inputs"]["oee"], abs=6e-5)
    whole: Ratio = pooled((oee.trs, oee.required) for oee in each)
    assert whole.value == pytest.approx(case["exact"]["OEE_weighted"], abs=1e-12)
    assert whole.coverage == 1.0


def test_teep_table(cases: dict[str, Any]) -> None:
    """Its "A" divides by opening time: its OEE is the norm's TRG, its TEEP the TRE; the TRS is 47.10 %."""
    case = cases["teep_table"]
    oee = teep(case["inputs"])
    assert oee.running == pytest.approx(case["intermediate"]["uptime_h"])
    assert oee.running / oee.opening == pytest.approx(case["exact"]["A"])
    assert oee.performance.value == pytest.approx(case["exact"]["P"])
    assert oee.ts.value == pytest.approx(case["published"]["U"], abs=case["tol"])
    assert agrees({**case, "nf": case["exact_nf"]}, answers(oee), "nf") == 3
    assert (case["exact"]["OEE"], case["exact"]["TEEP"]) == (case["exact_nf"]["TRG"], case["exact_nf"]["TRE"])
    assert oee.trg.value == pytest.approx(case["published"]["OEE"], abs=case["tol"])
    assert oee.tre.value == pytest.approx(case["published"]["TEEP"], abs=case["tol"])


def test_celver(cases: dict[str, Any]) -> None:
    """Its availability implies 19 h of running and its performance 18 h: it is told, and TRS stays tU/tR = 80.83 %."""
    case = cases["celver"]
    given = case["inputs"]
    by_stops = celver(given)
    by_running = celver(given, running=given["run_h_used_for_P"])
    both = celver(given, stops=given["down_h"], running=given["run_h_used_for_P"])
    published = by_stops.availability.value * by_running.performance.value * by_running.quality.value
    assert published == pytest.approx(case["exact"]["product"], rel=1e-12)
    assert published == pytest.approx(case["published"]["OEE"], abs=case["tol"])
    assert float(both.trs.value) == pytest.approx(case["exact"]["time_based"], rel=1e-12)
    assert not by_stops.findings
    assert "do not belong to one period" in both.findings[0].en


def test_mtbf_log(cases: dict[str, Any]) -> None:
    """Eight failures in 160 h; the last repair ends at midnight; MTBF is up time ÷ failures, or ÷ failures + 1."""
    oee = mtbf_log(cases["mtbf_log_2017"]["inputs"])
    assert (oee.failures, oee.required / 3600, oee.running / 3600) == (8, 160, 142)
    assert mttr(oee, "fe_plus_one").value == 7200


def test_flux_apq(cases: dict[str, Any]) -> None:
    """influxdata/flux apq_test: three hours of four ran."""
    case = cases["flux_apq"]
    assert flux(case["inputs"]).running * HOUR == case["published"]["runTime_ns"]
