"""What a Grafana of our own reads at its start: data sources, where the boards are, alert rules, contact and routing.

Files are JSON, which is YAML too. Secrets are named in them, never written: the read-only token of InfluxDB is a file
that Grafana reads (`$__file{…}`), the address for messages an environment variable.
"""

import json
from pathlib import Path
from typing import Any, Final

from dashboards.grafana import alerts
from dashboards.grafana.queries import Source
from dashboards.grafana.texts import LANGUAGES, Language, Texts
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.plant import Plant

TOKEN_FILE: Final = "/run/secrets/km0_grafana_token"  # noqa: S105  # the path of a secret, not a secret
BOARDS_FOLDER: Final = "/etc/grafana/km0/boards"
FOLDER: Final = "KM0"


def data_sources(store: InfluxDbConfig, token: str) -> list[dict[str, Any]]:
    """Both databases, asked in InfluxQL with a token that may only read. `token`: as it is to stand in the header."""
    return [
        {
            "name": f"KM0 {source.name.lower()}", "uid": source.value, "type": "influxdb", "access": "proxy",
            "url": store.url, "isDefault": False,
            "jsonData": {
                "dbName": bucket, "version": "InfluxQL", "httpMode": "POST", "httpHeaderName1": "Authorization",
            },
            "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
        }
        for source, bucket in ((Source.SAMPLES, store.bucket), (Source.KPIS, store.kpi_bucket))
    ]  # fmt: skip


def alerting(plant: Plant, language: Language) -> dict[str, Any]:
    """Rules in one group, one contact point, and the routing of everything to it."""
    texts = Texts(language)
    group = {
        "orgId": 1, "name": alerts.GROUP, "folder": FOLDER, "interval": f"{alerts.EVERY_S}s",
        "rules": [alerts.as_grafana(rule, texts) for rule in alerts.rules(plant, texts)],
    }  # fmt: skip
    mail = {"uid": "km0-mail", "type": "email", "settings": {"addresses": "$KM0_ALERT_EMAIL", "singleEmail": False}}
    return {
        "apiVersion": 1,
        "groups": [group],
        "contactPoints": [{"orgId": 1, "name": alerts.RECEIVER, "receivers": [mail]}],
        "policies": [{"orgId": 1, **alerts.routing()}],
    }


def files(plant: Plant, store: InfluxDbConfig) -> dict[Path, str]:
    """Every provisioning file by its path below the folder of rendered files."""
    boards = [
        {
            "name": f"km0-{language}", "orgId": 1, "folder": f"{FOLDER} {language}", "type": "file",
            "allowUiUpdates": False, "options": {"path": f"{BOARDS_FOLDER}/{language}"},
        }
        for language in LANGUAGES
    ]  # fmt: skip
    found: dict[Path, Any] = {
        Path("provisioning/datasources/km0.yaml"): {
            "apiVersion": 1,
            "datasources": [
                {"orgId": 1, "editable": False, **one} for one in data_sources(store, f"$__file{{{TOKEN_FILE}}}")
            ],
        },
        Path("provisioning/dashboards/km0.yaml"): {"apiVersion": 1, "providers": boards},
    }  # fmt: skip
    for language in LANGUAGES:
        found[Path(f"provisioning/alerting-{language}/km0.yaml")] = alerting(plant, language)
    return {path: json.dumps(data, indent=1, ensure_ascii=False) + "\n" for path, data in found.items()}
