"""How samples lie in InfluxDB: what somebody with Grafana finds there.

A measurement per subject (machine, link, source), an asset's path as tags, a field per metric: `SELECT mean("power")
FROM "machine" WHERE "asset" = 'mill-1'`. Beside `power`: `power_quality` (0 good, 1 uncertain, 2 bad),
`power_received` [ns] and, where there are words to a number, `power_text`. A metric that is a word is a string field.

Invariants:
- A field's type follows from the metric's kind alone and never changes.
- Every write of an identity writes all of its fields that may differ from what lies there, so the last write wins.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from pipeline.stores.lineprotocol import UnwritableError, series
from telemetry.glossary import METRICS

QUALITY: Final = "_quality"
RECEIVED: Final = "_received"
TEXT: Final = "_text"
NUMBER: Final = "_value"
"""Endings of the fields beside a metric's own; NUMBER holds the value of a word that has one."""

OTHER: Final = "other"
"""The measurement of metrics that the glossary does not know."""

MEASUREMENTS: Final = ("machine", "link", "source", OTHER)
TAGS: Final = ("area", "asset", "line", "site")
"""In the order in which InfluxDB sorts them."""

GROUPED: Final = ", ".join(f'"{tag}"' for tag in TAGS)


def measurement_of(metric: str) -> str:
    known = METRICS.get(metric)
    return known.subject if known else OTHER


def is_word(metric: str) -> bool:
    """Whether the metric's own field is a string."""
    known = METRICS.get(metric)
    return known is not None and known.kind == "word"


def tags_of(asset: str) -> list[tuple[str, str]]:
    """ "site/area/line/asset" as tags; what lies between line and asset stays in `line`. Raises UnwritableError."""
    site, *between, last = asset.split("/") if "/" in asset else ("", asset)
    tags = {"site": site, "area": between[0] if between else "", "line": "/".join(between[1:]), "asset": last}
    if asset_of(tags) != asset:
        raise UnwritableError(f"{asset!r} is not a path of site, area, line and asset")
    return [(tag, tags[tag]) for tag in TAGS if tags[tag]]


def asset_of(tags: Mapping[str, str]) -> str:
    return "/".join(part for tag in ("site", "area", "line", "asset") if (part := tags.get(tag)))


@lru_cache(maxsize=10_000)
def prefix(asset: str, metric: str) -> str:
    """What the lines of a series begin with. Raises UnwritableError."""
    return series(measurement_of(metric), tags_of(asset))


def name(text: str) -> str:
    """An InfluxQL identifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """An InfluxQL string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def where(asset: str) -> str:
    """The condition that selects an asset, absent tags included. Raises UnwritableError."""
    tags = dict(tags_of(asset))
    return " AND ".join(f"{name(tag)} = {literal(tags.get(tag, ''))}" for tag in TAGS)


def metrics_of(fields: Iterable[str]) -> list[str]:
    """The metrics among the fields of a measurement: those with a quality beside them."""
    known = set(fields)
    return sorted(field for field in known if field + QUALITY in known)
