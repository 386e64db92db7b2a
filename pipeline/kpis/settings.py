"""What figures depend on beside samples: when it changes, history is computed again.

The fingerprint of an asset's settings is stored as a KPI value of its own (kpi and kind SETTINGS, at the epoch), so
that any store keeps it, in the transaction that completes the recomputation it stands for.
"""

import hashlib
import json
from collections.abc import Sequence
from math import nan
from typing import Final

from pipeline.kpis import evaluate
from pipeline.kpis.catalogue import CATALOGUE
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Window

VERSION: Final = 1
"""Of the formulas: raise it when a figure changes its meaning, and every plant computes its history again."""

SETTINGS: Final = "settings"
AT: Final = Window(0, 1, SETTINGS)

_MEANINGLESS: Final = {"name", "target_trs", "hourly_cost"}
"""No figure in the store depends on these."""


def fingerprint(plant: Plant, asset: Asset) -> KpiValue:
    """Of all that the asset's stored figures depend on: time zone, calendar, cycle times, thresholds, tables, KPIs."""
    calendar = plant.calendar(asset.path)
    said = {
        "version": VERSION,
        "timezone": plant.timezone,
        "asset": asset.model_dump(mode="json", exclude=_MEANINGLESS),
        "calendar": None if calendar is None else calendar.model_dump(mode="json"),
        "kpis": [[kpi.name, *kpi.per] for kpi in CATALOGUE if kpi.of == asset.kind],
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
    number = float(int.from_bytes(digest[:6], "big"))  # 48 bits: exact in a double
    return KpiValue(asset.path, SETTINGS, SETTINGS, AT.start_ns, AT.end_ns, number, number, 0.0, 1.0, 0, True)


def gone(store: Store, plant: Plant, asset: Asset, span: Window) -> list[Window]:
    """Stored windows in a span that the plant's calendar does not have, but for those whose samples were dropped: what
    takes their place could not be computed. Raises StoreError."""
    name = evaluate.marker(asset)
    stored = store.read_kpis(asset.path, name, span) if name else []
    limit = store.kept_since()
    local = [one.window for one in stored if one.kind not in ("minute", "hour") and one.start_ns >= limit]
    if not local:
        return []
    whole = Window(min(window.start_ns for window in local), span.end_ns)
    starts = {(window.kind, window.start_ns) for window in evaluate.windows(plant, asset, whole)}
    return [window for window in local if (window.kind, window.start_ns) not in starts]


def void(asset: Asset, windows: Sequence[Window]) -> list[KpiValue]:
    """Values that take the place of those of windows that are no more, such as a shift that was moved: not known, and
    of no length."""
    return [
        KpiValue(asset.path, kpi.name, window.kind, window.start_ns, window.start_ns, nan, 0.0, 0.0, 0.0, 0, True)
        for window in windows
        for kpi in CATALOGUE
        if kpi.of == asset.kind and window.kind in kpi.per
    ]
