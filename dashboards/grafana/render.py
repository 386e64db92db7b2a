"""Boards as files: JSON per language, the same bytes for the same plant file."""

import json
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import provisioning
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.texts import LANGUAGES, Language, Texts
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.plant import Plant

_SCHEMA_VERSION: Final = 39
"""Of Grafana 11; later ones bring it up to theirs when they load it."""


def boards(plant: Plant, language: Language) -> dict[str, dict[str, Any]]:
    """Every board in a language, as JSON-able data by its name."""
    texts = Texts(language)
    found: dict[str, dict[str, Any]] = {}
    for make in BOARDS:
        board = json.loads(JSONEncoder(sort_keys=True).encode(make(plant, texts).build()))
        found[make.__name__] = _of_every_version(board) | {"schemaVersion": _SCHEMA_VERSION}
    return found


def _of_every_version(board: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that the SDK writes beside what Grafana 11 knows, or where no Grafana has them."""
    for entry in [*board["annotations"]["list"], *board["links"]]:
        entry.pop("placement", None)
    for variable in board["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):  # of intervals, which none of ours is
            variable.pop(key, None)
    return board


def files(plant: Plant, store: InfluxDbConfig) -> dict[Path, str]:
    """Every rendered board and provisioning file by its path below the folder of rendered files."""
    rendered = {
        Path(language, f"{name.replace('_', '-')}.json"): json.dumps(
            board, indent=1, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for language in LANGUAGES
        for name, board in boards(plant, language).items()
    }
    return rendered | provisioning.files(plant, store)
