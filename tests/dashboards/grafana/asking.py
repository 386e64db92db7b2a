"""What Grafana does with a panel before it asks InfluxDB: fill in variables and macros, choose the database."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from telemetry.samples import SECOND_NS
from tests.dashboards.grafana.simulated_day import Day


@dataclass(frozen=True)
class Asked:
    """One query of one panel, as its data source would send it, and what came back."""

    board: str
    panel: str
    query: str
    series: list[dict[str, Any]]
    ms: float


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that shows data, those in rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panels({"panels": panel.get("panels") or []})
        else:
            yield panel


def filled(query: str, variables: dict[str, str], start_ns: int, end_ns: int, interval: str) -> str:
    """The query with its variables, in the syntax of Grafana's InfluxDB data source for InfluxQL."""
    low, high = start_ns // 1_000_000, end_ns // 1_000_000
    query = query.replace("$timeFilter", f"time >= {low}ms and time <= {high}ms")
    query = query.replace("$__interval_ms", str(milliseconds(interval))).replace("$__interval", interval)
    query = query.replace("${__from}", str(low)).replace("${__to}", str(high))
    query = re.sub(r"\$\{(\w+)(?::regex)?\}", lambda found: variables[found[1]], query)
    assert "$" not in query.replace("$/", ""), f"a variable was left: {query}"
    return query


_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(interval: str) -> int:
    """Of an interval as Grafana writes it: "30s", "5m", "1h"."""
    return int(interval[:-1]) * _UNITS[interval[-1]]


def interval_of(panel: dict[str, Any], day: Day, interval: str) -> str:
    """The step of a panel, `interval` where it does not say: not finer than its own least one, nor with more points
    than it wants."""
    steps = [panel.get("interval", "1s")]
    if "maxDataPoints" in panel:
        span_s = (day.end_ns - day.start_ns) // SECOND_NS
        steps.append(f"{max(1, -(-span_s // panel['maxDataPoints']))}s")  # rounded up: not more points than wanted
    else:
        steps.append(interval)
    return max(steps, key=milliseconds)


def ask(day: Day, uid: str, query: str) -> tuple[list[dict[str, Any]], float]:
    """Series of the answer and how long it took [ms]."""
    database = {"km0-samples": day.samples_database, "km0-kpis": day.kpi_database}[uid]
    body = urlencode({"q": query, "db": database, "epoch": "ms"}).encode()
    started = time.perf_counter()
    with urlopen(f"{day.server.url}/query", body, timeout=60) as answer:  # noqa: S310  # http, to ourselves
        raw = answer.read()
    took = 1000 * (time.perf_counter() - started)
    [result] = json.loads(raw)["results"]
    assert "error" not in result, (query, result)
    return result.get("series", []), took


def asked(day: Day, name: str, board: dict[str, Any], variables: dict[str, str], interval: str) -> Iterator[Asked]:
    """Every query of every panel of a board, answered."""
    for panel in panels(board):
        step = interval_of(panel, day, interval)
        for target in panel["targets"]:
            query = filled(target["query"], variables, day.start_ns, day.end_ns, step)
            series, ms = ask(day, target["datasource"]["uid"], query)
            yield Asked(name, panel["title"], query, series, ms)
