"""Charts as Vega-Lite specs: one function per chart, for a page (drawn by the browser) and for paper (SVG, see draw).

Each takes plain rows, a language and a look, and returns the spec. Numbers and dates follow `locale(language)`, which
the page gives to vega-embed and `draw.svg` to vl-convert. Instants are shown on the wall clock of the plant: the specs
carry wall-clock times as UTC, because Vega knows no zones but UTC and the browser's own.
"""

from dashboards.charts.delays import delays
from dashboards.charts.look import DARK, LIGHT, Look, Spec, Width, locale
from dashboards.charts.pareto import pareto
from dashboards.charts.timeline import Lane, timeline
from dashboards.charts.trend import Dot, trend
from dashboards.charts.waterfall import Step, waterfall

__all__ = [
    "DARK", "LIGHT", "Dot", "Lane", "Look", "Spec", "Step", "Width", "delays", "locale", "pareto", "timeline", "trend",
    "waterfall",
]  # fmt: skip
