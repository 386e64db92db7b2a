"""What people call the figures: names of losses and times, and the page that defines every figure."""

from typing import Final

from dashboards.web.texts import mark
from pipeline.kpis.losses import REJECTS, SPEED

LOSSES: Final[dict[str, tuple[str, str]]] = {
    "breakdown": ("tP", mark("Breakdowns")),
    "operation": ("tAE", mark("Own stops without another cause")),
    "tool_change": ("tCOP", mark("Tool changes")),
    "adjustment": ("tRF", mark("Adjustments")),
    "inspection": ("tDC", mark("Inspections")),
    "changeover": ("tCF", mark("Changeovers")),
    "upkeep": ("tEF", mark("Routine upkeep")),
    "micro_stop": ("tMA", mark("Micro-stops")),
    "induced": ("tAI", mark("Stops induced from outside")),
    SPEED: ("tF − tN", mark("Reduced speed")),
    REJECTS: ("tN − tU", mark("Rejects")),
}
"""Symbol of NF E60-182 and name of each loss."""

TIMES: Final[tuple[tuple[str, str], ...]] = (
    ("tT", mark("All of the time")),
    ("tO", mark("Opening time: inside shifts")),
    ("tR", mark("Required time: opening time without planned stops")),
    ("tF", mark("Running time: required time without stops")),
    ("tN", mark("Net time: parts made × reference cycle")),
    ("tU", mark("Useful time: good parts × reference cycle")),
)
"""The times of NF E60-182, each inside the one before."""

BANDS: Final = (mark("excellent"), mark("good"), mark("fair"), mark("poor"), mark("out"))
"""Bands of radio signals, as pipeline.kpis.radio names them."""
