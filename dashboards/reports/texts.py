"""The report's own words, from texts.toml, by name: text("summary"), text("columns.time")."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pipeline.said import Said

TIMES: Final = ("tT", "tO", "tR", "tF", "tN", "tU")
"""The times of NF E60-182, each inside the one before."""


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads(files("dashboards.reports").joinpath("texts.toml").read_text(encoding="utf-8"))


def text(name: str) -> Said:
    """The words of that name; KeyError when there are none."""
    found = _all()
    for part in name.split("."):
        found = found[part]
    return Said(**found)


def paragraphs() -> list[Said]:
    """The method, paragraph by paragraph."""
    return [Said(**one) for one in _all()["paragraphs"].values()]
