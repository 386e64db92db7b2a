"""Grafana's own types judge every rendered board: majors 11, 12 and 13, and what they must catch."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.dashboards.grafana.schemas import MAJORS, schema

RENDERED = Path(__file__).parents[3] / "dashboards" / "grafana" / "rendered"
FILES = sorted(RENDERED.glob("??/*.json"))


@pytest.fixture(scope="module", params=MAJORS)
def validator(request: pytest.FixtureRequest) -> Draft7Validator:
    return Draft7Validator(schema(request.param))


@pytest.mark.timeout(300)
def test_every_rendered_board_is_one_of_grafanas(validator: Draft7Validator) -> None:
    """Fourteen files, seven boards in two languages, without a single complaint."""
    assert len(FILES) == 14
    for file in FILES:
        faults = [f"{file.name} {error.json_path}: {error.message[:200]}"
                  for error in validator.iter_errors(json.loads(file.read_text()))]  # fmt: skip
        assert faults == []


def _first(board: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(panel for panel in board["panels"] if panel["type"] == kind)
    return found


def _set(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda board: board.__setitem__(name, value)


PLANTED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key that is no dashboard's": _set("tittle", "Mur"),
    "no schema version": lambda board: board.pop("schemaVersion"),
    "a title that is a number": _set("title", 4),
    "a panel without a type": lambda board: _first(board, "stat").pop("type"),
    "a place on the grid in words": lambda board: _first(board, "stat")["gridPos"].__setitem__("w", "half"),
    "thresholds of an unknown mode": lambda board: _first(board, "stat")["fieldConfig"]["defaults"][
        "thresholds"
    ].__setitem__("mode", "relative"),
    "a mapping of an unknown kind": lambda board: _first(board, "stat")["fieldConfig"]["defaults"]["mappings"][
        0
    ].__setitem__("type", "words"),
    "a variable of an unknown kind": lambda board: board["templating"]["list"][0].__setitem__("type", "guess"),
    "a link without its url's type": lambda board: board["links"][0].__setitem__("type", "address"),
    "a transformation without a name": lambda board: next(
        panel for panel in board["panels"] if panel.get("transformations")
    )["transformations"][0].pop("id"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_caught(validator: Draft7Validator, fault: str) -> None:
    """The judge is awake: each of these makes a board that Grafana's types refuse."""
    board = copy.deepcopy(json.loads((RENDERED / "fr" / "wall.json").read_text()))
    PLANTED[fault](board)
    assert not validator.is_valid(board)
