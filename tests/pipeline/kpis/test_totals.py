"""`from_totals`: a form that cannot be is refused, one that contradicts itself says so. All by hand, in minutes."""

from math import inf, isnan, nan
from typing import Any

import pytest

from pipeline.kpis.oee import NAKAJIMA, SETUP_PLANNED, from_totals
from pipeline.kpis.states import Category
from pipeline.said import Said


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"required": 480, "stops": -60}, "stops is -60: a total is a finite number, zero or more"),
        ({"required": 480, "stops": {"breakdown": -60}}, r"stops\.breakdown is -60"),
        ({"required": 480, "stops": nan}, "stops is nan"),
        ({"required": 480, "stops": {Category.BREAKDOWN: inf}}, r"stops\.breakdown is inf"),
        ({"required": 480, "stops": {"brakedown": 30}}, "'brakedown' is no kind of stop .* there is breakdown, "),
        ({"required": 480, "stops": {"running": 30}}, "'running' is no kind of stop in required time"),
        ({"required": inf}, "required is inf"),
        ({"opening": nan}, "opening is nan"),
        ({"opening": 480, "planned_stops": -1}, "planned_stops is -1"),
        ({"required": 480, "cycle": 1, "made": 10, "speed_loss": nan}, "speed_loss is nan: give a finite number"),
        ({"required": 480, "stops": 500}, "stops of 500 do not fit into required time 480: correct"),
        ({"required": 480, "stops": {"breakdown": 300, "induced": 200}}, "stops of 500 do not fit"),
        ({"required": 480, "stops": {"breakdown": 300, "micro_stop": 200}, "convention": NAKAJIMA}, "stops of 500 do"),
        ({"required": 480, "running": 481}, "running time 481 does not fit into required time 480"),
        ({"required": 480, "cycle": 1, "made": 400, "speed_loss": 100}, r"tN \+ speed_loss = 500 does not fit"),
        ({"required": 480, "cycle": 1, "made": 100, "speed_loss": -101}, r"tN \+ speed_loss = -1 does not fit"),
        ({"required": 480, "speed_loss": 10}, "speed_loss tells the running time only with the cycle"),
        ({"opening": 480, "planned_stops": 500}, "tT ≥ tO ≥ tR ≥ 0 does not hold: 480, 480, -20"),
        ({"required": 480, "made": 5, "reject": 10}, "-5 good and 10 rejected do not add up to 5 made"),
        ({"required": 480, "made": 5, "good": 6}, "6 good and -1 rejected do not add up to 5 made"),
        ({"required": 480, "made": 5, "good": 3, "reject": 1}, "3 good and 1 rejected do not add up to 5 made"),
    ],
)
def test_a_form_that_cannot_be_is_refused_by_name(form: dict[str, Any], sentence: str) -> None:
    """Below zero, not finite, unknown, or longer than what it is a part of."""
    with pytest.raises(ValueError, match=sentence):
        from_totals(**form)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (
            {"required": 480, "running": 400, "speed_loss": 300, "cycle": 1, "made": 390},
            "tF − tN is 10, but speed_loss is 300: Tp is tN/tF",
        ),
        (
            {"required": 480, "running": 400, "speed_loss": 300},
            "speed_loss of 300 is not used: give the cycle and the parts made, which tell tN",
        ),
        (
            {"opening": 540, "planned_stops": 20, "required": 480},
            "tO − planned stops is 520, but tR is said to be 480: planned stops are taken as tO − tR = 60",
        ),
        (
            {"required": 480, "stops": 100, "running": 400},
            "tR − stops is 380, but tF is said to be 400: the factors do not belong to one period; TRS is tU/tR",
        ),
        (
            {"required": 480, "stops": 100, "cycle": 1, "made": 390, "speed_loss": 10},
            "tR − stops is 380, but tF is said to be 400: the factors do not belong to one period; TRS is tU/tR",
        ),
    ],
)
def test_a_form_that_contradicts_itself_says_so(form: dict[str, Any], sentence: str) -> None:
    """Speed loss, planned stops or stops that are not what the other totals leave for them."""
    [finding] = from_totals(**form).findings
    assert finding.en == sentence
    assert finding.fr != sentence


def test_a_form_that_agrees_has_no_finding() -> None:
    """540 open, 60 planned, 80 stopped: 400 run, of which 390 made parts; and the same from fewer totals."""
    whole = from_totals(
        opening=540, planned_stops=60, required=480, stops={"breakdown": 80}, running=400, speed_loss=10,
        cycle=1, made=390, good=380, reject=10,
    )  # fmt: skip
    fewer = from_totals(required=480, stops={Category.BREAKDOWN: 80}, cycle=1, made=390, good=380)
    for found in (whole, fewer):
        assert (found.running, found.net, found.useful, found.findings) == (400, 390, 380, ())
        assert found.stops == {Category.BREAKDOWN: 80}
    assert (whole.opening, whole.planned, fewer.opening) == (540, 60, 480)


def test_stops_that_are_missing_are_own_stops() -> None:
    """400 of 480 run: 80 are own stops without a cause; with a breakdown of 30 beside a speed loss, 50."""
    assert from_totals(required=480, running=400).stops == {Category.OPERATION: 80}
    found = from_totals(required=480, stops={"breakdown": 30}, speed_loss=10, cycle=1, made=390)
    assert (found.running, found.stops) == (400, {Category.BREAKDOWN: 30, Category.OPERATION: 50})


def test_a_speed_loss_below_zero_is_a_cycle_too_slow() -> None:
    """400 parts of a minute in 380 minutes: Tp is 400/380, told and not clipped."""
    found = from_totals(required=480, speed_loss=-20, cycle=1, made=400)
    assert found.running == 380
    assert found.performance.value == pytest.approx(400 / 380)
    assert found.findings == (
        Said(
            "Tp is above 1 (1.053): reference cycle too slow",
            "Tp dépasse 1 (1,053) : temps de cycle de référence trop long",
        ),
    )


def test_changeover_may_be_planned_by_convention() -> None:
    """540 open, 20 planned and 40 changeover outside required time: 480, and no finding when the form says so too."""
    found = from_totals(
        opening=540, planned_stops=20, required=480, stops={"changeover": 40, "breakdown": 30}, convention=SETUP_PLANNED
    )
    assert (found.required, found.running, found.planned, found.findings) == (480, 450, 60, ())


def test_rounding_is_no_contradiction() -> None:
    """0.1 + 0.2 is not 0.3 in binary: stops that fill required time, and parts by weight, agree all the same."""
    assert from_totals(required=0.3, stops={"breakdown": 0.1, "induced": 0.2}).running == pytest.approx(0)
    assert from_totals(required=1, made=0.3, good=0.1, reject=0.2).findings == ()


def test_what_nobody_told_is_not_known() -> None:
    """Without cycle and parts Do is 3/4, and TRS is not a number with a coverage of 0."""
    found = from_totals(required=480, stops=120)
    assert found.availability.value == 0.75
    assert isnan(found.trs.value)
    assert found.trs.coverage == 0
