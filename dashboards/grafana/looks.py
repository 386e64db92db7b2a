"""State colours and words on every board: those of the web pages, so that a state looks the same everywhere.

The colours are read from the pages' own style sheet (its palette for light grounds, made for the colour-blind), the
words from its looks and translations: there is no second list to keep in step.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DashboardSpecialValueMapOptions,
    RangeMap,
    SpecialValueMap,
    SpecialValueMatch,
    ValueMap,
    ValueMappingResult,
)

from dashboards import web
from dashboards.grafana.texts import Texts
from dashboards.web.looks import LOOKS
from dashboards.web.states import UNKNOWN
from telemetry.glossary import MachineState
from telemetry.samples import Quality

Mapping = ValueMap | RangeMap | SpecialValueMap

_QUALITY_STEP: Final = 10
STATE_WITH_QUALITY: Final = f'"state" + {_QUALITY_STEP} * "state_quality"'
"""InfluxQL: the state, moved out of its range by its quality, so that a state nobody vouches for is not shown."""


@cache
def palette() -> dict[str, str]:
    """The colours of the web pages by their names: "run", "fault", "good" …"""
    css = (Path(web.__path__[0]) / "static" / "app.css").read_text(encoding="utf-8")
    light = css.partition("}")[0]
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", light))


def colour(css: str) -> str:
    """A colour of the palette; KeyError when the style sheet has none of that name."""
    return palette()[css]


def state_mappings(texts: Texts) -> list[Mapping]:
    """Numbers of states to words and colours; a bad quality is the unknown state, a missing value says "no data"."""
    options = {}
    for state in MachineState:
        look = LOOKS[state.name]
        for quality in (Quality.GOOD, Quality.UNCERTAIN):
            word = texts(look.word) + (" ?" if quality == Quality.UNCERTAIN else "")
            options[str(state.value + _QUALITY_STEP * quality)] = ValueMappingResult(
                text=word, color=colour(look.css), index=state.value
            )
    unknown = LOOKS[UNKNOWN]
    bad = DashboardRangeMapOptions(
        _QUALITY_STEP * Quality.BAD, _QUALITY_STEP * Quality.BAD + len(MachineState) - 1,
        ValueMappingResult(text=texts(unknown.word), color=colour("off")),
    )  # fmt: skip
    return [ValueMap(options), RangeMap(bad), *no_data(texts)]


def no_data(texts: Texts) -> list[Mapping]:
    """A missing value is a word in grey, never a zero."""
    result = ValueMappingResult(text=texts("no data"), color=colour("off"))
    return [SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, result))]


def no_word(texts: Texts) -> list[Mapping]:
    """An empty word is a dash."""
    none = ValueMappingResult(text="–")
    return [SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.EMPTY, none)), *no_data(texts)]


def freshness(texts: Texts) -> list[Mapping]:
    """How many samples came lately: none is stale, whatever the last value said."""
    stale = ValueMappingResult(text=texts("stale"), color=colour("alarm"))
    live = ValueMappingResult(text=texts("live"), color=colour("run"))
    return [
        ValueMap({"0": stale}),
        RangeMap(DashboardRangeMapOptions(1, 1e12, live)),
        SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, stale)),
    ]
