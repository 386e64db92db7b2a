"""The table of ISO 22400-2; every expected value by hand."""

from math import isnan, nan

import pytest

from pipeline.kpis.iso22400_table import ELEMENTS, TABLE, table

GIVEN: dict[str, float] = {
    # an order on one machine [min]: the constructed example of the time elements
    "POT": 540, "PBT": 480, "APT": 380, "AUST": 30, "AUPT": 410, "ADET": 40, "ADOT": 30, "AUBT": 450, "PRI": 0.5,
    "PQ": 700, "GQ": 679, "RQ": 7, "AOET": 500, "APWT": 420, "APAT": 480,
    # what the plant knows beside it
    "PSQ": 10, "GP": 650, "IP": 700, "PQ1": 720, "EPC": 1000, "CMT": 30, "PMT": 90, "E": 84, "TH": 1200, "AVI": 300,
    "CM": 800, "IGQ": 690, "PL": 40, "STL": 16, "OL": 8, "TBF": 426, "TTF": 420, "TTR": 12, "FE": 3,
    "USL": 10.3, "LSL": 9.7, "MEAN": 10.1, "S": 0.05, "SIGMA": 0.1,
}  # fmt: skip

EXPECTED: dict[str, float] = {
    "worker_efficiency": 0.875, "allocation_ratio": 0.9, "throughput_rate": 1.4, "allocation_efficiency": 0.9375,
    "utilization_efficiency": 380 / 450, "oee_index": 339.5 / 480, "nee_index": 0.76313, "availability": 380 / 480,
    "effectiveness": 350 / 380, "quality_ratio": 0.97, "setup_ratio": 30 / 410, "technical_efficiency": 380 / 420,
    "production_process_ratio": 0.76, "actual_to_planned_scrap_ratio": 1.4, "first_pass_yield": 650 / 700,
    "scrap_ratio": 0.02, "rework_ratio": 0.01, "fall_off_ratio": 14 / 720, "cm": 2.0, "cmk": 0.2 / 0.15, "cp": 1.0,
    "cpk": 0.2 / 0.3, "comprehensive_energy_consumption": 0.12, "inventory_turns": 4.0,
    "finished_goods_ratio": 679 / 800, "integrated_goods_ratio": 0.8625, "production_loss_ratio": 0.05,
    "storage_and_transport_loss_ratio": 0.02, "other_loss_ratio": 0.01, "equipment_load_ratio": 0.7, "mtbf": 142,
    "mttf": 140, "mttr": 4, "corrective_maintenance_ratio": 0.25,
}  # fmt: skip


def test_the_whole_table_by_hand() -> None:
    """All 34; scrap is what is neither good nor reworked: 700 − 679 − 7 = 14."""
    found = {row.name: ratio.value for row, ratio in table(GIVEN).items()}
    assert found == pytest.approx(EXPECTED, abs=5e-6)
    assert len(TABLE) == len(EXPECTED) == 34


def test_the_denominator_of_the_means_is_an_option_and_said() -> None:
    """Three failures: 426, 420 and 12 minutes by three or by four."""
    for denominator, expected, formula in (
        ("fe", (142, 140, 4), "TTR / FE"),
        ("fe_plus_one", (106.5, 105, 3), "TTR / (FE + 1)"),
    ):
        rows = {row.name: (row, ratio) for row, ratio in table(GIVEN, denominator).items()}  # type: ignore[arg-type]
        assert tuple(rows[name][1].value for name in ("mtbf", "mttf", "mttr")) == expected
        assert rows["mttr"][0].formula == formula


def test_a_figure_is_there_only_where_all_its_elements_are_known() -> None:
    """Nothing from nothing; one element that is no number takes its figures with it; division by zero is not known."""
    assert table({}) == {}
    assert {row.name for row in table({"PQ": 10, "GQ": nan, "EPC": 20})} == {"equipment_load_ratio"}
    [zero] = table({"PQ": 10, "EPC": 0}).values()
    assert isnan(zero.value)


def test_each_formula_names_the_elements_it_takes() -> None:
    """Without any one of those that its formula names a figure cannot be computed; every element has its words."""
    for row in TABLE:
        row.compute(dict.fromkeys(row.needs, 1.0))
        for code in row.needs:
            with pytest.raises(KeyError):
                row.compute(dict.fromkeys(row.needs - {code}, 1.0))
        assert row.needs <= ELEMENTS.keys()
    assert ELEMENTS.keys() - {code for row in TABLE for code in row.needs} == {"POT", "ADOT"}
