"""What a value looks like in a panel: its mapping, its unit, its threshold's colour, as Grafana would show it."""

from datetime import datetime
from math import isfinite, log10
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.grafana.texts import Language
from tests.dashboards.grafana.canvas import INK
from tests.dashboards.grafana.frames import Cell


class Fields:
    """The fields of a panel: its defaults, and what is overridden for each."""

    def __init__(self, panel: dict[str, Any], zone: ZoneInfo, now_ns: int, language: Language) -> None:
        self.zone, self._now_ns, self._language = zone, now_ns, language
        self.defaults: dict[str, Any] = panel["fieldConfig"]["defaults"]
        self._overrides = panel["fieldConfig"]["overrides"]

    def properties(self, column: str) -> dict[str, Any]:
        """What a field has: the panel's defaults and what is overridden for it."""
        found = dict(self.defaults)
        for override in self._overrides:
            if override["matcher"]["options"] == column:
                found |= {one["id"]: one["value"] for one in override["properties"]}
        return found

    def shown(self, column: str, value: Cell) -> tuple[str, str]:
        """Text and colour of a value: mappings first, then unit and thresholds."""
        has = self.properties(column)
        for mapping in has.get("mappings", []):
            options = mapping["options"]
            match mapping["type"]:
                case "value" if _key(value) in options:
                    hit = options[_key(value)]
                case "range" if isinstance(value, int | float) and options["from"] <= value <= options["to"]:
                    hit = options["result"]
                case "special" if value is None and "null" in options["match"]:
                    hit = options["result"]
                case "special" if value == "" and options["match"] == "empty":
                    hit = options["result"]
                case _:
                    continue
            return hit.get("text", str(value)), hit.get("color", INK)
        if isinstance(value, str) or value is None:
            return value or "", INK
        colour = INK
        for step in has.get("thresholds", {}).get("steps", []):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return self.unit(has, column, float(value)), colour

    def unit(self, has: dict[str, Any], column: str, value: float) -> str:
        if has.get("unit") == "dateTimeFromNow":
            minutes = round((self._now_ns / 1e6 - value) / 60_000)
            ago = f"{minutes} min" if minutes < 90 else f"{minutes / 60:.0f} h"
            return f"{ago} ago" if self._language == "en" else f"il y a {ago}"
        if column in ("Time", "from", "de") or has.get("unit") == "dateTimeAsIso":
            return f"{datetime.fromtimestamp(value / 1000, self.zone):%d/%m %H:%M}"
        decimals = has.get("decimals")
        match has.get("unit"):
            case "percentunit":
                return f"{100 * value:.{1 if decimals is None else decimals}f} %"
            case "s":
                size, word = next(
                    ((size, word) for size, word in ((3600, "h"), (60, "min")) if value >= size), (1, "s")
                )
                return f"{value / size:.{1 if decimals is None else decimals}f} {word}"
            case unit:
                word = {"ms": " ms", "h": " h", "kwatth": " kWh", "currencyEUR": " €", "percent": " %", "watt": " W"}
                digits = decimals if decimals is not None else (0 if value == int(value) else max(0, 2 - _size(value)))
                return f"{value:.{digits}f}{word.get(unit or '', '')}"


def _key(value: Cell) -> str:
    return str(_short(value)).lower() if isinstance(value, bool) else str(_short(value))


def _short(value: Cell) -> Cell:
    return int(value) if isinstance(value, float) and isfinite(value) and value == int(value) else value


def _size(value: float) -> int:
    return int(log10(abs(value))) if abs(value) >= 1 else 0
