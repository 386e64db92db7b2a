"""Boards, alert rules and data sources into a Grafana that is there already, through its HTTP API.

Invariants:
- Only what bears our uids is written or removed: our folders, boards, rule group, contact point and data sources.
- Publishing twice changes nothing the second time (data sources are sent again, for their token cannot be read back).
- The notification tree is never touched: rules carry their own receiver, and only when there is an address for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaClientError, GrafanaException

from dashboards.grafana import alerts, provisioning
from dashboards.grafana.render import boards
from dashboards.grafana.texts import LANGUAGES, Language, Texts
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.config import safe
from telemetry.errors import ConfigError, SourceError
from telemetry.plant import Plant

OLDEST_MAJOR: Final = 11
_MAIL: Final = "km0-mail"
_OURS_OF_A_RULE: Final = (
    "uid", "title", "condition", "data", "noDataState", "execErrState", "for", "labels", "annotations", "isPaused",
    "notification_settings",
)  # fmt: skip
_GRAFANAS_OF_A_BOARD: Final = ("id", "version")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be there. `reader_token`: InfluxDB's read-only token; None leaves data sources alone. `mail`: where
    alerts go; None leaves them to the routing that is there."""

    plant: Plant
    store: InfluxDbConfig
    version: str
    reader_token: str | None = None
    mail: str | None = None
    alert_language: Language = "fr"


class Grafana:
    """One Grafana, by address and token. Every method may raise ConfigError (token, version) or SourceError."""

    def __init__(
        self, url: str, token: str, *, dry_run: bool = False, timeout_s: float = 10.0, in_clear: bool = False
    ) -> None:
        """`in_clear`: the token may pass over http:// beyond this machine."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f'{url!r}: write the address with its scheme, as in "http://127.0.0.1:3000"')
        if not in_clear and not safe(url):
            raise ConfigError(
                f"{url!r}: the token, which may do everything there, would pass in clear: make the address https://, "
                "or say --in-clear in a network that is all your own"
            )
        prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._url = url
        self._dry_run = dry_run
        self._api = GrafanaAPI(
            token.strip(), host=host, port=parts.port, url_path_prefix=prefix, protocol=parts.scheme, timeout=timeout_s
        )

    def publish(self, wanted: Wanted) -> Iterator[str]:
        """Make it so; says in a line each thing that was, or with `dry_run` would be, written."""
        self._check()
        if wanted.reader_token is not None:
            for source in provisioning.data_sources(wanted.store, wanted.reader_token):
                yield self._data_source(source)
        for language in LANGUAGES:
            folder = f"km0-{language}"
            yield from self._folder(folder, f"{provisioning.FOLDER} {language}")
            for board in boards(wanted.plant, language).values():
                yield self._board(board, folder, wanted.version)
        if wanted.mail is not None:
            yield self._contact(wanted.mail)
        for language in LANGUAGES:  # a rule's uid is unique in all of Grafana, so they are in one language at a time
            if language != wanted.alert_language and self._get(_group_of(language)) is not None:
                yield self._send("DELETE", _group_of(language), f"alert rules {language}")
        yield self._rules(wanted)

    def remove(self) -> Iterator[str]:
        """Take everything of ours away; a folder in which somebody else keeps something stays."""
        self._check()
        for language in LANGUAGES:
            folder = f"km0-{language}"
            if self._get(_group_of(language)) is not None:
                yield self._send("DELETE", _group_of(language), "alert rules")
            for name in boards(Plant(), language).values():
                if self._get(f"/dashboards/uid/{name['uid']}") is not None:
                    yield self._send("DELETE", f"/dashboards/uid/{name['uid']}", f"board {name['uid']}")
            if self._get(f"/folders/{folder}") is not None:
                if not self._dry_run and self._get(f"/search?folderUIDs={folder}"):
                    yield f"kept     folder {folder}: there is something in it that is not ours"
                else:
                    yield self._send("DELETE", f"/folders/{folder}", f"folder {folder}")
        if self._held_contact() is not None:
            yield self._send("DELETE", f"/v1/provisioning/contact-points/{_MAIL}", "contact point")
        for source in provisioning.data_sources(InfluxDbConfig(), ""):
            if self._get(f"/datasources/uid/{source['uid']}") is not None:
                yield self._send("DELETE", f"/datasources/uid/{source['uid']}", f"data source {source['uid']}")

    def _check(self) -> None:
        """Whether this is a Grafana, new enough, and the token may do what is needed."""
        version = str((self._get("/health") or {}).get("version", ""))
        major = version.partition(".")[0]
        if major.isdigit() and int(major) < OLDEST_MAJOR:
            raise ConfigError(
                f"{self._url} is Grafana {version}: these boards need {OLDEST_MAJOR}.0 or newer; upgrade it"
            )
        self._get("/folders?limit=1")

    def _data_source(self, source: dict[str, Any]) -> str:
        what = f"data source {source['uid']}"
        if self._get(f"/datasources/uid/{source['uid']}") is None:
            return self._send("POST", "/datasources", what, source)
        return self._send("PUT", f"/datasources/uid/{source['uid']}", what, source)

    def _folder(self, uid: str, title: str) -> Iterator[str]:
        if self._get(f"/folders/{uid}") is None:
            yield self._send("POST", "/folders", f"folder {uid}", {"uid": uid, "title": title})

    def _board(self, board: dict[str, Any], folder: str, version: str) -> str:
        held = self._get(f"/dashboards/uid/{board['uid']}")
        if held is not None:
            same = {key: value for key, value in held["dashboard"].items() if key not in _GRAFANAS_OF_A_BOARD}
            if same == board and held["meta"].get("folderUid") == folder:
                return f"same     board {board['uid']}"
        body = {"dashboard": board, "folderUid": folder, "message": f"km0 {version}", "overwrite": True}
        return self._send("POST", "/dashboards/db", f"board {board['uid']}", body)

    def _held_contact(self) -> dict[str, Any] | None:
        points = self._get("/v1/provisioning/contact-points") or []
        return next((point for point in points if point.get("uid") == _MAIL), None)

    def _contact(self, mail: str) -> str:
        settings = {"addresses": mail, "singleEmail": False}
        point = {"uid": _MAIL, "name": alerts.RECEIVER, "type": "email", "settings": settings}
        held = self._held_contact()
        if held is None:
            return self._send("POST", "/v1/provisioning/contact-points", "contact point", point)
        if held.get("settings") == settings and held.get("name") == alerts.RECEIVER:
            return "same     contact point"
        return self._send("PUT", f"/v1/provisioning/contact-points/{_MAIL}", "contact point", point)

    def _rules(self, wanted: Wanted) -> str:
        texts, folder = Texts(wanted.alert_language), f"km0-{wanted.alert_language}"
        place = _group_of(wanted.alert_language)
        rules = [alerts.as_grafana(rule, texts) for rule in alerts.rules(wanted.plant, texts)]
        if wanted.mail is not None:
            rules = [rule | {"notification_settings": alerts.routing()} for rule in rules]
        held = self._get(place)
        if held is not None:
            there = [{key: rule[key] for key in _OURS_OF_A_RULE if key in rule} for rule in held["rules"]]
            if there == rules and held["interval"] == alerts.EVERY_S:
                return f"same     {len(rules)} alert rules"
        placed = [rule | {"folderUID": folder, "ruleGroup": alerts.GROUP} for rule in rules]
        body = {"title": alerts.GROUP, "folderUid": folder, "interval": alerts.EVERY_S, "rules": placed}
        return self._send("PUT", place, f"{len(rules)} alert rules", body)

    def _get(self, path: str) -> Any | None:
        """What is there; None for 404."""
        return self._asked("GET", path)

    def _send(self, method: str, path: str, what: str, body: dict[str, Any] | None = None) -> str:
        verb = {"POST": "made", "PUT": "written", "DELETE": "removed"}[method]
        if self._dry_run:
            return f"would be {verb}: {what}"
        self._asked(method, path, body)
        return f"{verb:8} {what}"

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any | None:
        # Without this header Grafana locks what came by the provisioning API against changes in its own pages.
        headers = {"X-Disable-Provenance": "true"} if path.startswith("/v1/provisioning") else None
        try:
            return getattr(self._api, method)(path, json=body, headers=headers)
        except GrafanaClientError as error:
            if error.status_code == 404 and method == "GET":
                return None
            raise ConfigError(self._explained(error, method, path)) from None
        except GrafanaException as error:
            raise SourceError(f"Grafana at {self._url} failed on {method} {path}: {error.message}") from None
        except requests.exceptions.JSONDecodeError:
            if method == "DELETE":
                return None  # 204, without a body, which grafana-api does not expect
            raise SourceError(f"{self._url} does not answer as Grafana does: is this its address?") from None
        except requests.exceptions.RequestException as error:
            raise SourceError(f"Grafana cannot be reached at {self._url}: {error}") from None

    def _explained(self, error: GrafanaException, method: str, path: str) -> str:
        if error.status_code == 401:
            return (
                f"Grafana at {self._url} does not know this token. Make a service account token "
                "(Administration, Users and access, Service accounts) and put it into the file of --token-file."
            )
        if error.status_code == 403:
            return (
                f"the token may not {method} {path} in Grafana at {self._url}: give its service account the role Admin "
                "(Editor suffices without data sources)."
            )
        return f"Grafana at {self._url} refuses {method} {path}: {error.message}"


def _group_of(language: Language) -> str:
    return f"/v1/provisioning/folder/km0-{language}/rule-groups/{alerts.GROUP}"
