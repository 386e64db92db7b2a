"""What retention leaves to compute: of a window that lost samples, a final figure is the last word.

It was computed when its samples were there, and now could only be computed from what is left of them.
"""

from collections.abc import Iterable

from pipeline.kpis import evaluate
from telemetry.plant import Asset
from telemetry.protocols import Store
from telemetry.samples import Window


def computable(
    store: Store, asset: Asset, windows: Iterable[Window], limit: int, *, again: bool = False
) -> list[Window]:
    """Those that begin at the limit [ns] or later, or have no final figure. `again`: history is computed again under
    new settings, by which there may be windows that never had a figure; those before the limit would be of what is
    left, too. Raises StoreError."""
    asked = list(windows)
    early = [window for window in asked if window.start_ns < limit]
    name = evaluate.marker(asset)
    if not early or name is None:
        return asked
    span = Window(min(window.start_ns for window in early), max(window.end_ns for window in early))
    final = {value.window: value.final for value in store.read_kpis(asset.path, name, span)}
    return [window for window in asked if window.start_ns >= limit or not final.get(window, again)]
