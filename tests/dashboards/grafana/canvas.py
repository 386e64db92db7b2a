"""Marks of an SVG: words, boxes, a scale of colours."""

from html import escape
from typing import Final

INK: Final = "#1c2733"
SOFT: Final = "#5b6875"


def text(
    x: float, y: float, words: str, size: float, colour: str = INK, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}" font-family="Source Sans Pro, sans-serif">{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """A filled rectangle [px]; `more`: further attributes."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" {more}/>'


def viridis(share: float) -> str:
    stops = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
    place = min(3, int(share * 4))
    within = share * 4 - place
    return "#" + "".join(f"{round(a + (b - a) * within):02x}" for a, b in zip(*stops[place : place + 2], strict=True))
