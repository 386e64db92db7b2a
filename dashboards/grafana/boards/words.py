"""Words and limits that several boards use."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.grafana.looks import Mapping, no_data
from dashboards.grafana.texts import Texts
from pipeline.kpis.use_cases import USE_CASES
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


def told_apart(assets: Sequence[Asset]) -> dict[str, str]:
    """What people call each asset, by its path; the path itself where several have one name."""
    times = Counter(asset.name for asset in assets)
    return {asset.path: asset.name if times[asset.name] == 1 else asset.path for asset in assets}


def loss_mappings(texts: Texts) -> list[Mapping]:
    """Names of KPIs to words."""
    words = {kpi: ValueMappingResult(text=texts(word)) for kpi, (word, _) in LOSS_WORDS.items()}
    return [ValueMap(words), *no_data(texts)]


def delay_steps(assets: Sequence[Asset]) -> tuple[tuple[float | None, str], ...]:
    """Round trips [ms]: orange above half of what the use case allows, red above it; of several, the strictest."""
    cases = [USE_CASES[asset.use_case] for asset in assets if asset.use_case in USE_CASES]
    most_ms = min((case.latency_ms for case in cases), default=100.0)
    return ((None, "run"), (most_ms / 2, "stop"), (most_ms, "fault"))


def target_steps(asset: Asset) -> tuple[tuple[float | None, str], ...]:
    """Red below 85 % of the target, orange below the target, green from it on; no target, no judgement."""
    if asset.target_trs is None:
        return ((None, "bar"),)
    return ((None, "fault"), (round(0.85 * asset.target_trs, 4), "stop"), (asset.target_trs, "run"))
