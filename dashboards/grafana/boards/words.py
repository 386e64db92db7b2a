"""Words and limits that several boards use."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.grafana.looks import Mapping, colour, no_data
from dashboards.grafana.texts import Texts
from telemetry.plant import Asset

LOSS_WORDS: Final = {
    "breakdown_time": ("Breakdowns", "fault"),
    "operation_time": ("Own stops", "stop"),
    "tool_change_time": ("Tool changes", "setup"),
    "adjustment_time": ("Adjustments", "setup"),
    "inspection_time": ("Inspections", "care"),
    "changeover_time": ("Changeovers", "setup"),
    "upkeep_time": ("Upkeep", "care"),
    "micro_stop_time": ("Micro-stops", "stop"),
    "induced_time": ("Induced stops", "wait"),
}
"""The stops of NF E60-182 as KPIs, with their word and colour."""


def loss_mappings(texts: Texts) -> list[Mapping]:
    """Names of KPIs to words."""
    words = {kpi: ValueMappingResult(text=texts(word), color=colour(css)) for kpi, (word, css) in LOSS_WORDS.items()}
    return [ValueMap(words), *no_data(texts)]


def target_steps(asset: Asset) -> tuple[tuple[float | None, str], ...]:
    """Red below 85 % of the target, orange below the target, green from it on; no target, no judgement."""
    if asset.target_trs is None:
        return ((None, "bar"),)
    return ((None, "fault"), (round(0.85 * asset.target_trs, 4), "stop"), (asset.target_trs, "run"))
