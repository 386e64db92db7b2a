"""Bringing a file to the web app and waiting for its figures: for the tests of diagnoses."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from httpx2 import Client
from starlette.testclient import TestClient
from typer.testing import CliRunner

from dashboards.web.app import create_app
from dashboards.web.config import WebConfig
from dashboards.web.formats import Formats
from dashboards.web.texts import Language
from km0.cli import app as km0
from pipeline.files.propose import propose
from tests.dashboards.seeded import empty

FRENCH = (
    "Date;État;Quantité;Bonnes;Motif\r\n"
    "02/11/2026 08:00:00;Marche;0;0;\r\n"
    "02/11/2026 10:00:00;Arrêt;100;90;bourrage\r\n"
    "02/11/2026 11:00:00;Marche;100;90;\r\n"
    "02/11/2026 11:30:00;Marche;pas un nombre;90;\r\n"
    "02/11/2026 12:00:00;Marche;150;140;\r\n"
).encode("cp1252")
"""Four hours of a machine: three running, one stopped; 150 parts of which 140 are good."""

EVIL = "<img src=x onerror=alert(1)>"
WAIT_S = 60.0


@contextmanager
def visited(folder: Path, **settings: int) -> Iterator[Client]:
    """The app of a plant that said nothing yet, which keeps its diagnoses in a folder; `settings` of `[web]`."""
    seeded = empty(config=WebConfig.model_validate({"port": 0, "folder": folder, **settings}))
    with TestClient(create_app(seeded.context), base_url="http://127.0.0.1") as client:
        yield client
        client.app.state.close()  # type: ignore[attr-defined]  # Starlette's client, seen as httpx's


def bring(client: Client, content: bytes = FRENCH, name: str = "presse.csv", **query: str) -> Any:
    answer = client.post("/api/v1/diagnoses", params={"name": name, **query}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def by_the_command(file: Path, language: Language) -> list[str]:
    """TRS, Do, Tp and Tq of a file as `km0 oee --events` says them by the proposed mapping and a cycle of 60 s, as
    pages write them."""
    mapping = propose(file).mapping
    mapping = mapping.model_copy(update={"machine": mapping.machine.model_copy(update={"cycle_s": {"*": 60.0}})})
    toml = file.with_suffix(".toml")
    toml.write_text(mapping.toml(), encoding="utf-8")
    asked = CliRunner().invoke(km0, ["oee", "--events", str(file), "--map", str(toml), "--json"])
    figures = json.loads(asked.stdout)["figures"]
    percent = Formats(language, ZoneInfo("Europe/Paris")).percent
    return [percent(figures[kpi]["value"]) for kpi in ("trs", "do", "tp", "tq")]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.02)


def finished(client: Client, number: str) -> str:
    """The state a diagnosis ends in."""
    until(lambda: client.get(f"/api/v1/diagnoses/{number}").json()["state"] != "running")
    return str(client.get(f"/api/v1/diagnoses/{number}").json()["state"])


def computed(client: Client, number: str, **machine: object) -> Any:
    """Run as proposed, with the machine as it is; the result."""
    mapping = client.get(f"/api/v1/diagnoses/{number}/proposal").json()["mapping"]
    mapping["machine"] |= machine
    answer = client.post(f"/api/v1/diagnoses/{number}/run", json=mapping)
    assert answer.status_code == 202, answer.text
    assert finished(client, number) == "done"
    return client.get(f"/api/v1/diagnoses/{number}/result").json()
