"""Boards as pictures, drawn by ourselves from what their own queries answer.

    python -m tests.dashboards.grafana.pictures docs/pictures

No Grafana runs here. The layout, colours, words and figures are those of the rendered board; the drawing is ours, and
every picture says so.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from dashboards.grafana.render import boards
from dashboards.grafana.texts import Language
from tests.dashboards.grafana.asking import Day
from tests.dashboards.grafana.canvas import INK, SOFT, box, text, viridis
from tests.dashboards.grafana.fields import Fields
from tests.dashboards.grafana.frames import Cell, Frame, frames

COLUMN: Final = 60
ROW: Final = 36
GAP: Final = 6
LINES: Final = (
    "#0b7285",
    "#d98e00",
    "#a8558f",
    "#2f7fd0",
    "#c8391b",
    "#00875f",
    "#7d8a95",
    "#e3c61b",
    "#1c2733",
    "#8a6d3b",
)
EVERYTHING: Final = {"site": ".*", "area": ".*", "line": ".*", "asset": ".*", "window": "h"}
ONE: Final = {"site": "km0", "area": "fabrication", "line": "cell-2", "asset": "press-1", "window": "h"}
MARK: Final = {
    "en": "Drawn by KM0 from the board's own queries over a simulated day; not a screenshot of Grafana.",
    "fr": "Dessiné par KM0 d'après les requêtes du tableau sur une journée simulée ; pas une capture de Grafana.",
}


class Drawing(Fields):
    """One panel's place on the canvas [px] and what its figures look like."""

    def __init__(self, panel: dict[str, Any], day: Day, top: int, language: Language) -> None:
        grid = panel["gridPos"]
        self.x, self.y = grid["x"] * COLUMN + GAP, grid["y"] * ROW + GAP + top
        self.w, self.h = grid["w"] * COLUMN - GAP, grid["h"] * ROW - GAP
        self.panel, self.day = panel, day
        super().__init__(panel, ZoneInfo(day.plant.timezone), day.end_ns, language)

    def draw(self, found: list[Frame]) -> Iterator[str]:
        """The panel as SVG."""
        kind: str = self.panel["type"]
        yield box(self.x, self.y, self.w, self.h, "#fff", 'stroke="#dde3e8" rx="3"')
        if kind != "stat":
            yield text(self.x + 10, self.y + 22, self.panel["title"], 15, weight=600)
        drawers: dict[str, Callable[[list[Frame]], Iterator[str]]] = {
            "stat": self._stat, "bargauge": self._ranked, "timeseries": self._lines, "state-timeline": self._strip,
            "table": self._table, "heatmap": self._heat,
        }  # fmt: skip
        if any(cell is not None for frame in found for cells in frame.columns.values() for cell in cells):
            yield from drawers[kind](found)
        else:
            word = self.defaults.get("noValue", "")
            yield from self._tile(word, "#7d8a95" if word != self.properties("")["noValue"] else _absent(self.defaults))

    def _tile(self, words: str, colour: str, label: str = "") -> Iterator[str]:
        ink = "#fff"
        if self.panel["options"].get("colorMode") == "none":
            ink = INK
        else:
            yield box(self.x, self.y, self.w, self.h, colour, 'rx="3"')
        yield text(self.x + 10, self.y + 22, self.panel["title"], 15, ink, weight=600)
        size = min(62, self.h * 0.42, 1.75 * (self.w - 24) / max(1, len(words)))
        yield text(self.x + self.w / 2, self.y + self.h * 0.64, words, size, ink, "middle", 600)
        if label:
            yield text(self.x + self.w / 2, self.y + self.h * 0.88, label, 14, ink, "middle")

    def _stat(self, found: list[Frame]) -> Iterator[str]:
        reduced = self.panel["options"]["reduceOptions"]
        if reduced.get("values"):
            wanted = re.compile(reduced["fields"].strip("/"))
            row = {name: cell for name, cell in found[0].rows[0].items() if wanted.search(name)}
            shown = [self.shown(name, cell) for name, cell in row.items()]
            colour = next((colour for _, colour in shown if colour not in (INK, "#0b7285")), "#0b7285")
            yield from self._tile("  ".join(words for words, _ in shown), colour)
            return
        several = [(name, cells[-1]) for frame in found for name, cells in frame.columns.items() if name != "Time"]
        whole_x, whole_w, title = self.x, self.w, self.panel["title"]
        for place, (name, value) in enumerate(several):
            self.w = whole_w // len(several) - (GAP if len(several) > 1 else 0)
            self.x = whole_x + place * whole_w // len(several)
            words, colour = self.shown(name, value)
            yield from self._tile(words, colour, name if len(several) > 1 else "")
        self.x, self.w, self.panel["title"] = whole_x, whole_w, title

    def _ranked(self, found: list[Frame]) -> Iterator[str]:
        if self.panel["options"]["reduceOptions"].get("values"):  # a table: a word and a figure in each row
            most = self.panel["options"]["reduceOptions"]["limit"]
            bars = [(str(row["Field"]), row["Total"]) for row in found[0].rows[:most]]
        else:
            bars = [(name, cells[-1]) for frame in found for name, cells in frame.columns.items() if name != "Time"]
        known = [(name, float(value)) for name, value in bars if isinstance(value, int | float)]
        top = max((value for _, value in known), default=1.0) or 1.0
        step = min(34.0, (self.h - 40) / max(1, len(known)))
        for place, (name, value) in enumerate(known):
            y = self.y + 36 + place * step
            width = max(1.0, (self.w - 270) * max(0.0, value) / top)
            colour = self.properties(name).get("color", {}).get("fixedColor", "#0b7285")
            yield text(self.x + 150, y + step * 0.62, name, 14, SOFT, "end")
            yield box(self.x + 160, y + 3, width, step - 8, colour)
            yield text(self.x + 168 + width, y + step * 0.62, self.shown(name, value)[0], 14)

    def _plot(self) -> tuple[float, float, float, float]:
        return self.x + 64.0, self.y + 36.0, self.w - 78.0, self.h - 90.0

    def _at(self, ms: float) -> float:
        x, _, w, _ = self._plot()
        start, end = self.day.start_ns / 1e6, self.day.end_ns / 1e6
        return x + w * min(1.0, max(0.0, (ms - start) / (end - start)))

    def _axes(self, low: float, high: float, name: str) -> Iterator[str]:
        x, y, w, h = self._plot()
        for part in range(5):
            level, value = y + h * (1 - part / 4), low + (high - low) * part / 4
            yield f'<line x1="{x}" x2="{x + w}" y1="{level:.1f}" y2="{level:.1f}" stroke="#e6ebef"/>'
            yield text(x - 6, level + 4, self.unit(self.defaults | {"decimals": None}, name, value), 11, SOFT, "end")
        for part in range(7):
            ms = (self.day.start_ns + (self.day.end_ns - self.day.start_ns) * part / 6) / 1e6
            yield text(
                self._at(ms), y + h + 16, f"{datetime.fromtimestamp(ms / 1000, self.zone):%H:%M}", 11, SOFT, "middle"
            )

    def _lines(self, found: list[Frame]) -> Iterator[str]:
        custom = self.defaults.get("custom", {})
        series = [(name, list(zip(frame.columns["Time"], cells, strict=True)))
                  for frame in found for name, cells in frame.columns.items() if name != "Time"]  # fmt: skip
        bars, stacked = custom.get("drawStyle") == "bars", custom.get("stacking", {}).get("mode") == "normal"
        piles: dict[Cell, float] = {}
        for _, points in series:
            for ms, v in points:
                piles[ms] = piles.get(ms, 0.0) + (float(v) if isinstance(v, int | float) else 0.0)
        right = {name for name, _ in series if self.properties(name).get("custom.axisPlacement") == "right"}
        scales = {side: _scale([points for name, points in series if (name in right) is side], piles if stacked else {})
                  for side in (False, True)}  # fmt: skip
        x, y, w, h = self._plot()
        yield from self._axes(*scales[False], "")
        if right:
            for part in range(5):
                value = scales[True][0] + (scales[True][1] - scales[True][0]) * part / 4
                yield text(x + w + 13, y + h * (1 - part / 4) + 4, f"{value:.0f}", 11, SOFT, "end")
        if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
            limit = self.defaults["thresholds"]["steps"][-1]
            level = y + h * (1 - (limit["value"] - scales[False][0]) / (scales[False][1] - scales[False][0]))
            across, pen = f"M{x} {level:.1f}H{x + w}", f'stroke="{limit["color"]}" stroke-dasharray="8 6"'
            yield f'<path d="{across}" {pen} stroke-width="2"/>'
        base: dict[Cell, float] = {}
        slot = w * _spacing(series) / ((self.day.end_ns - self.day.start_ns) / 1e6)
        labels_at = x
        for place, (name, points) in enumerate(series):
            colour = self.properties(name).get("color", {}).get("fixedColor", LINES[place % len(LINES)])
            path, pen, (low, high) = [], "M", scales[name in right]
            for ms, value in points:
                if not isinstance(value, int | float):
                    pen = pen if custom.get("spanNulls") else "M"
                    continue
                below = base.get(ms, 0.0) if stacked else 0.0
                at, level = self._at(float(ms or 0)), y + h * (1 - (below + float(value) - low) / (high - low))
                if bars:
                    wide = max(2.0, slot * 0.8 / (1 if stacked else len(series)))
                    left = at + (0 if stacked else place * wide)
                    wide = max(0.0, min(wide, x + w - left))
                    tall = h * float(value) / (high - low)
                    yield box(left, level, wide, max(0.0, tall), colour)
                    base[ms] = below + float(value)
                else:
                    path.append(f"{pen}{at:.1f} {level:.1f}")
                    pen = "L"
            if path:
                yield f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="2"/>'
            yield box(labels_at, y + h + 28, 12, 4, colour)
            yield text(labels_at + 18, y + h + 35, name, 12, SOFT)
            labels_at += 30 + 7 * len(name)

    def _strip(self, found: list[Frame]) -> Iterator[str]:
        x, y, _, h = self._plot()
        told = sorted(
            ((float(ms or 0), name, cell) for frame in found for name, cells in frame.columns.items() if name != "Time"
             for ms, cell in zip(frame.columns["Time"], cells, strict=True)), key=lambda one: one[0],
        )  # fmt: skip
        lanes = list(dict.fromkeys(name.strip() for _, name, _ in told))
        cells = sorted({str(cell) for _, _, cell in told if isinstance(cell, str)})
        legend: dict[str, str] = {}
        high = min(60.0, h / len(lanes))
        for place, lane in enumerate(lanes):
            mine = [(ms, cell) for ms, name, cell in told if name.strip() == lane]
            yield text(x - 6, y + place * high + high / 2 + 4, lane, 12, SOFT, "end")
            for (ms, cell), (until, _) in zip(mine, [*mine[1:], (self.day.end_ns / 1e6, None)], strict=True):
                words, colour = self.shown(lane, cell)
                if isinstance(cell, str) and colour == INK:
                    colour = LINES[cells.index(cell) % len(LINES)]
                legend[words] = colour
                left = self._at(ms)
                yield box(left, y + place * high + 4, max(0.6, self._at(until) - left), high - 8, colour)
        at = x
        for words, colour in sorted(legend.items()):
            yield box(at, y + h + 26, 12, 10, colour)
            yield text(at + 18, y + h + 35, words, 12, SOFT)
            at += 34 + 7 * len(words)
        for part in range(7):
            ms = (self.day.start_ns + (self.day.end_ns - self.day.start_ns) * part / 6) / 1e6
            yield text(
                self._at(ms), y + h + 14, f"{datetime.fromtimestamp(ms / 1000, self.zone):%H:%M}", 11, SOFT, "middle"
            )

    def _table(self, found: list[Frame]) -> Iterator[str]:
        frame = found[0] if len(found) == 1 else Frame.of([row for one in found for row in one.rows])
        names = list(frame.columns)
        wide = (self.w - 20) / len(names)
        for place, name in enumerate(names):
            title = self.properties(name).get("displayName", name)
            yield text(self.x + 10 + place * wide, self.y + 46, title, 13, SOFT, weight=600)
        for line, row in enumerate(frame.rows[: int((self.h - 56) / 26)]):
            for place, (name, cell) in enumerate(row.items()):
                words, colour = self.shown(name, cell)
                left, base = self.x + 10 + place * wide, self.y + 72 + line * 26
                filled_cell = self.properties(name).get("custom.cellOptions", {}).get("type") == "color-background"
                if filled_cell:
                    yield box(left - 4, base - 17, wide - 4, 23, colour)
                yield text(left, base, words[: int(wide / 7)], 13, "#fff" if filled_cell else INK)

    def _heat(self, found: list[Frame]) -> Iterator[str]:
        points = [
            (float(ms or 0), float(value))
            for frame in found
            for name, cells in frame.columns.items()
            for ms, value in zip(frame.columns["Time"], cells, strict=True)
            if name != "Time" and isinstance(value, int | float)
        ]
        low, high, across, up = 0.0, max(v for _, v in points) * 1.05, 48, 18
        counts: dict[tuple[int, int], int] = {}
        start, length = self.day.start_ns / 1e6, (self.day.end_ns - self.day.start_ns) / 1e6
        for ms, value in points:
            key = (min(across - 1, int(across * (ms - start) / length)), min(up - 1, int(up * value / high)))
            counts[key] = counts.get(key, 0) + 1
        yield from self._axes(low, high, "")
        x, y, w, h = self._plot()
        for (column, level), count in counts.items():
            share = count / max(counts.values())
            yield box(x + w * column / across, y + h * (1 - (level + 1) / up), w / across, h / up, viridis(share))


def _scale(several: list[list[tuple[Cell, Cell]]], piles: dict[Cell, float]) -> tuple[float, float]:
    """What an axis spans: zero is on it, unless all of its values are below."""
    figures = [float(v) for points in several for _, v in points if isinstance(v, int | float)] or [0.0]
    low, high = min(0.0, *figures), max([*piles.values(), *figures])
    return low, high if high > low else low + 1


def _spacing(series: list[tuple[str, list[tuple[Cell, Cell]]]]) -> float:
    """Time between neighbouring points [ms]."""
    times = sorted({float(ms or 0) for _, points in series for ms, _ in points})
    return min((after - before for before, after in pairwise(times)), default=3.6e6)


def _absent(defaults: dict[str, Any]) -> str:
    for mapping in defaults.get("mappings", []):
        if mapping["type"] == "special":
            return str(mapping["options"]["result"]["color"])
    return "#7d8a95"


def picture(
    board: dict[str, Any], day: Day, language: Language, variables: dict[str, str], interval: str = "5m"
) -> str:
    """A board as SVG."""
    top = 56
    drawn: list[str] = []
    bottom = 0
    for panel in board["panels"]:
        grid = panel["gridPos"]
        bottom = max(bottom, (grid["y"] + grid["h"]) * ROW)
        if panel["type"] == "row":
            drawn.append(text(grid["x"] * COLUMN + 10, grid["y"] * ROW + top + 26, panel["title"], 18, weight=600))
        else:
            drawn += Drawing(panel, day, top, language).draw(
                frames(day, panel, variables, panel.get("interval", interval))
            )
    width, height = 24 * COLUMN + GAP, bottom + top + 2 * GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
            box(0, 0, width, height, "#f4f6f8"),
            text(12, 28, board["title"], 22, weight=600),
            text(12, 48, MARK[language], 13, SOFT),
            *drawn,
            "</svg>",
        ]
    )


def main(folder: Path) -> None:
    """An SVG of every board in English, and of the wall in French, from a simulated day in a real influxd."""
    from tests.dashboards.grafana.simulated_day import loaded
    from tests.pipeline.stores.influxd import Influxd

    with tempfile.TemporaryDirectory() as place:
        server = Influxd(Path(place))
        server.start()
        try:
            day = loaded(server)
            drawn: list[tuple[str, Language]] = [(name, "en") for name in boards(day.plant, "en")]
            for name, language in (*drawn, ("wall", "fr")):
                variables = ONE if name == "machine" else EVERYTHING
                made = picture(boards(day.plant, language)[name], day, language, variables)
                (folder / f"{name.replace('_', '-')}-{language}.svg").write_text(made, encoding="utf-8")
        finally:
            server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
