"""KPI values in InfluxDB: measurement "kpi", tagged by asset, kpi and window, at the start of the window.

Fields: value, numerator, denominator, coverage [0…1], samples, seconds (length of the window [s]), end [ns], final,
unknown, detail. InfluxDB has neither NaN nor infinity: such a figure is not written, and `unknown` tells which it was
(1 value, 2 numerator, 4 denominator, 8 coverage; 16 to 128 likewise: infinite), whatever an earlier write left there.
Show values where unknown = 0.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from pipeline.stores.influxdb_rows import table
from pipeline.stores.influxdb_schema import GROUPED, asset_of, literal, tags_of, where
from pipeline.stores.influxdb_server import InfluxServer
from pipeline.stores.influxdb_writing import Body, store
from pipeline.stores.lengths import DAY_NS, LONGEST_NS
from pipeline.stores.lineprotocol import UnwritableError, Value, line, series
from telemetry.errors import StoreError
from telemetry.samples import KpiValue, Window

_NAME: Final = "kpi"
_STATE: Final = "km0_state"
_FIGURES: Final = ("value", "numerator", "denominator", "coverage")
_INFINITE: Final = 16


class KpiBucket:
    """Reads and writes KPI values and the cursor that belongs to them."""

    def __init__(self, server: InfluxServer, bucket: str) -> None:
        self._server: Final = server
        self._bucket: Final = bucket
        self._cursor: int | None = None

    def write(self, values: Sequence[KpiValue], cursor: int) -> None:
        """The values, then the cursor: whoever dies in between computes these values again. Raises StoreError."""
        held = self.cursor()
        lines = [f"{_line(value)}\n" for value in values]
        if refused := store(self._server, self._bucket, [Body.of(lines)] if lines else []):
            raise StoreError(f"InfluxDB refuses {len(refused)} KPI values: {next(iter(refused.values()))}")
        if cursor != held or not values:
            # One point per day, replaced through the day; a bucket with retention takes no older one.
            day_ns = self._server.now_ns() // DAY_NS * DAY_NS
            self._server.write(self._bucket, f"{line(_STATE, [('cursor', cursor)], day_ns)}\n".encode())
            self._cursor = cursor

    def cursor(self) -> int:
        """Of the last write; asked from the server once, because one process computes. Raises StoreError."""
        if self._cursor is None:
            [found] = self._server.ask(self._bucket, [f'SELECT last("cursor") FROM "{_STATE}"'])  # noqa: S608  # a constant
            self._cursor = found[0]["values"][0][1] if found else 0
        return self._cursor

    def read(self, assets: Sequence[str], kpis: Sequence[str], window: Window) -> dict[tuple[str, str], list[KpiValue]]:
        """Of each pair the values whose windows overlap `window`, in time order. Raises StoreError."""
        values: dict[tuple[str, str], list[KpiValue]] = {(asset, kpi): [] for asset in assets for kpi in kpis}
        if not (chosen := _chosen(assets, kpis)):
            return values
        statements = []
        for kind, longest_ns in LONGEST_NS.items():
            if window.kind in ("interval", kind):
                low = max(window.start_ns - longest_ns, -(2**63) + 2)
                statements.append(f'"window" = {literal(kind)} AND time >= {low}')
        if not statements or window.kind == "interval":
            others = [f'"window" != {literal(kind)}' for kind in LONGEST_NS]
            statements.append(
                " AND ".join(others) if window.kind == "interval" else f'"window" = {literal(window.kind)}'
            )
        columns = ", ".join(f'"{name}"' for name in (*_FIGURES, "samples", "end", "final", "unknown", "detail"))
        asked = f'SELECT {columns} FROM "{_NAME}" WHERE {chosen}'  # noqa: S608  # quoted by influxdb_schema
        before = f'time < {min(window.end_ns, 2**63 - 2)} GROUP BY {GROUPED}, "kpi", "window"'
        found = self._server.ask(self._bucket, [f"{asked} AND {statement} AND {before}" for statement in statements])
        for answer in (one for result in found for one in result):
            tags = answer["tags"]
            asset = asset_of(tags)
            kept = (_value(asset, tags["kpi"], tags["window"], row) for row in table(answer))
            values[asset, tags["kpi"]] += (one for one in kept if window.overlaps(one.start_ns, one.end_ns))
        for one in values.values():
            one.sort(key=lambda value: (value.start_ns, value.end_ns, value.kind))
        return values


def _chosen(assets: Sequence[str], kpis: Sequence[str]) -> str:
    """The condition that selects these assets and KPIs; "" when none of them can be there."""
    paths = []
    for asset in dict.fromkeys(assets):
        with suppress(UnwritableError):
            paths.append(f"({where(asset)})")
    names = [f'"kpi" = {literal(kpi)}' for kpi in dict.fromkeys(kpis)]
    return f"({' OR '.join(paths)}) AND ({' OR '.join(names)})" if paths and names else ""


def _line(value: KpiValue) -> str:
    tags = sorted([*tags_of(value.asset), ("kpi", value.kpi), ("window", value.kind)])
    figures = [getattr(value, name) for name in _FIGURES]
    unknown = sum(1 << bit for bit, figure in enumerate(figures) if math.isnan(figure))
    unknown += sum(_INFINITE << bit for bit, figure in enumerate(figures) if figure == math.inf)
    fields: list[tuple[str, Value]] = [
        (name, float(figure)) for name, figure in zip(_FIGURES, figures, strict=True) if math.isfinite(figure)
    ]
    fields += [
        ("end", value.end_ns),
        ("final", value.final),
        ("samples", value.samples),
        ("seconds", value.window.seconds),
        ("unknown", unknown),
        ("detail", value.detail),  # an empty one too, or that of an earlier write would stay
    ]
    return line(series(_NAME, tags), fields, value.start_ns)


def _value(asset: str, kpi: str, kind: str, row: dict[str, Any]) -> KpiValue:
    value, numerator, denominator, coverage = (_figure(row, bit, name) for bit, name in enumerate(_FIGURES))
    return KpiValue(
        asset,
        kpi,
        kind,
        row["time"],
        row["end"],
        value,
        numerator,
        denominator,
        coverage,
        row["samples"],
        row["final"],
        row["detail"] or "",
    )


def _figure(row: dict[str, Any], bit: int, name: str) -> float:
    if row["unknown"] & (_INFINITE << bit):
        return math.inf
    return math.nan if row["unknown"] & (1 << bit) or row[name] is None else float(row[name])
