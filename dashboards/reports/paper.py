"""The report as a PDF, by typst: fonts that travel with the install, no clock, no network, the same bytes each time."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import typst

from dashboards.charts.draw import FONTS

_TEMPLATE: Final = files("dashboards.reports").joinpath("report.typ")


def pdf(content: dict[str, Any]) -> bytes:
    """The PDF of a report's content."""
    return _compiled(content, "pdf")[0]


def pictures(content: dict[str, Any], ppi: float = 100.0) -> list[bytes]:
    """The pages of the PDF as PNG: to be looked at."""
    return _compiled(content, "png", ppi)


def _compiled(content: dict[str, Any], form: Literal["pdf", "png"], ppi: float | None = None) -> list[bytes]:
    # its stub knows neither inputs of several types nor a list: one picture per page
    made: bytes | list[bytes] = typst.compile(  # type: ignore[misc]
        _TEMPLATE.read_bytes(), root=str(Path(str(_TEMPLATE)).parent), font_paths=[str(FONTS)],
        ignore_system_fonts=True, format=form, ppi=ppi, timestamp=0,
        sys_inputs={"content": json.dumps(content, ensure_ascii=False)},
    )  # fmt: skip
    return [made] if isinstance(made, bytes) else made
