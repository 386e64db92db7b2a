"""Colours, fonts and locales of every chart. The colours are the pages' own, read from their style sheet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypedDict
from zoneinfo import ZoneInfo

import altair as alt

from dashboards import web
from dashboards.web.looks import LOOKS
from dashboards.web.texts import Language
from telemetry.glossary import MachineState
from telemetry.samples import SECOND_NS

FONT: Final = "Source Sans Pro"
"""What paper is set in (extra `reports`); a page that has no such font shows its sans-serif."""

Spec = dict[str, Any]
"""A Vega-Lite specification."""

Width = int | Literal["container"]
"""Width of a chart in CSS pixels, or "container" for as wide as its element in a page."""


@cache
def palettes() -> tuple[dict[str, str], dict[str, str]]:
    """The colours of the style sheet by their names ("run", "fault", "ink" …): on light ground, and on dark."""
    css = (Path(web.__path__[0]) / "static" / "app.css").read_text(encoding="utf-8")
    roots = re.findall(r":root\s*\{(.*?)\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-fA-F]{6});", block)) for block in roots[:2])
    return light, light | dark


@dataclass(frozen=True, slots=True)
class Look:
    """A colour for every name of the style sheet; KeyError for a name it has not."""

    dark: bool = False

    def __getitem__(self, name: str) -> str:
        return palettes()[self.dark][name]

    def state(self, state: str) -> str:
        """The colour of a machine state by its name in the glossary, or "UNKNOWN"."""
        if state == MachineState.BLOCKED.name:  # a page tells the two waits apart by shape, a chart has only colour
            return _mixed(self["wait"], self["ink"])
        css = LOOKS[state].css
        return self["faint"] if css == "unknown" else self[css]


def _mixed(one: str, other: str) -> str:
    """The colour in the middle of two."""
    return "#" + "".join(f"{(int(one[at : at + 2], 16) + int(other[at : at + 2], 16)) // 2:02x}" for at in (1, 3, 5))


LIGHT: Final = Look()
DARK: Final = Look(dark=True)


def dressed(chart: Any, look: Look) -> Spec:
    """An altair chart with fonts, grid and ground of the house. The ground is transparent: a card or paper shows
    through."""
    text = {"labelColor": look["soft"], "titleColor": look["soft"], "labelFontSize": 12, "titleFontSize": 12}
    clothes = {
        "font": FONT + ", system-ui, sans-serif",
        "background": "transparent",
        "padding": _PADDING,
        "view": {"stroke": None},
        "axis": {
            **text, "titleFontWeight": "normal", "gridColor": look["line"], "domainColor": look["line"],
            "tickColor": look["line"],
        },
        "legend": {**text, "titleFontWeight": "normal", "orient": "bottom", "symbolType": "square", "columns": 4},
        "text": {"color": look["ink"], "fontSize": 12},
    }  # fmt: skip
    # altair copies a chart for each setting, and would judge every chart that is asked for anew: that made most of the
    # time that one takes. A test says that they are Vega-Lite.
    spec: Spec = chart.to_dict(validate=False)
    config = spec.setdefault("config", {})
    for name, worn in clothes.items():
        config[name] = {**config[name], **worn} if isinstance(worn, dict) and name in config else worn
    return spec


NARROW: Final = "width < 220"
"""Vega's expression for a plot as on a telephone: there its words must be few."""


_SIGN: Final = 7.0
"""What a sign takes at most [px], at 12 px, in the fonts of browsers that have not ours."""
_GAP: Final = 10
"""Between a bar and its words, and after them [px]."""


def room(bars: Sequence[tuple[float, str, str]], least: float = 0.0) -> alt.Scale:
    """A scale on which every bar has its words to its right: `bars` are where each ends, all its words, and those that
    a telephone shows."""

    def most(words: Sequence[str]) -> str:
        ends = (
            f"{bar[0] - least} / max(0.25, 1 - {_SIGN * len(word) + _GAP} / width)"
            for bar, word in zip(bars, words, strict=True)
        )
        return f"{least} + max({', '.join(ends) or 1})"

    wide, narrow = most([bar[1] for bar in bars]), most([bar[2] for bar in bars])
    return alt.Scale(domainMin=least, domainMax={"expr": f"{NARROW} ? {narrow} : {wide}"}, nice=False)


def few(words: str, short: str) -> dict[str, str]:
    """The text of a mark: all its words, or on a telephone the short ones (names of fields)."""
    return {"expr": f"{NARROW} ? datum.{short} : datum.{words}"}


_PADDING: Final = {"left": 24, "right": 8, "top": 6, "bottom": 6}
"""A browser without our font sets labels wider than they were measured: room for them on the left."""


class Locale(TypedDict):
    """d3's locales, as vega-embed (`formatLocale`, `timeFormatLocale`) and vl-convert take them."""

    number: dict[str, Any]
    time: dict[str, Any]


_FRENCH: Final[Locale] = {
    "number": {
        "decimal": ",", "thousands": "\u202f", "grouping": [3], "currency": ["", "\u202f€"], "percent": "\u202f%",
        "minus": "\u2212",
    },
    "time": {
        "dateTime": "%A %e %B %Y à %X", "date": "%d/%m/%Y", "time": "%H:%M:%S", "periods": ["", ""],
        "days": ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
        "shortDays": ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
        "months": [
            "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
            "décembre",
        ],
        "shortMonths": [
            "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
        ],
    },
}  # fmt: skip
_ENGLISH: Final[Locale] = {
    "number": {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["€", ""], "minus": "\u2212"},
    "time": {
        "dateTime": "%A %e %B %Y, %X", "date": "%Y-%m-%d", "time": "%H:%M:%S", "periods": ["AM", "PM"],
        "days": ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
        "shortDays": ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
        "months": [
            "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December",
        ],
        "shortMonths": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    },
}  # fmt: skip


def locale(language: Language) -> Locale:
    """Numbers and dates of the language, in d3's form."""
    return _FRENCH if language == "fr" else _ENGLISH


def wall_ms(time_ns: int, zone: ZoneInfo) -> int:
    """What the wall clock shows at an instant, as if it were UTC [ms since the epoch]."""
    offset = datetime.fromtimestamp(time_ns // SECOND_NS, zone).utcoffset()
    return time_ns // 1_000_000 + (0 if offset is None else round(offset.total_seconds() * 1000))


def wall(time_ns: int, zone: ZoneInfo, language: Language) -> str:
    """An instant on the wall clock, for tooltips: Vega would show it in the zone of the browser."""
    shape = "%d/%m/%Y %H:%M:%S" if language == "fr" else "%Y-%m-%d %H:%M:%S"
    return f"{datetime.fromtimestamp(time_ns // SECOND_NS, zone):{shape}}"


def time_axis(seconds: float, language: Language) -> alt.Axis:
    """A time axis labelled as a period of that length [s] asks for: hours of a day, days, months."""
    day, month = ("%d/%m", "%b %Y") if language == "fr" else ("%d %b", "%b %Y")
    if seconds <= 36 * 3600:
        shape = "%H:%M"
    elif seconds <= 120 * 86400:
        shape = day
    else:
        shape = month
    return alt.Axis(format=shape, title=None, grid=False, tickCount=8, labelOverlap=True)
