"""A chart as SVG, the same bytes for the same spec: for paper, and for readers without a script.

Text is set in the fonts that travel with the extra `reports`, never in those of the machine it happens to run on.
"""

from functools import cache
from pathlib import Path
from typing import Final

import font_source_sans_pro
import vl_convert

from dashboards.charts.look import Spec, locale
from dashboards.web.texts import Language

FONTS: Final = Path(font_source_sans_pro.__file__).parent / "files"
"""Folder of the fonts that reports are set in (SIL Open Font License 1.1)."""


@cache
def _fonts_known() -> None:
    vl_convert.register_font_directory(str(FONTS))


def svg(spec: Spec, language: Language) -> str:
    """The chart drawn; no request leaves the machine, whatever the spec says."""
    _fonts_known()
    words = locale(language)
    drawn: str = vl_convert.vegalite_to_svg(
        spec, allowed_base_urls=[], format_locale=words["number"], time_format_locale=words["time"]
    )
    return drawn
