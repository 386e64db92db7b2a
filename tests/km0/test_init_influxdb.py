"""`km0 init influxdb` on a real 1.6.7 with users, and against the administration API of 2.x as it is documented."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from km0.init import app
from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb import InfluxDbStore
from telemetry.config import Secret
from telemetry.errors import ConfigError, StoreError
from telemetry.samples import SECOND_NS
from tests.contracts.stored import T0, at, kpi, rows
from tests.pipeline.stores.influxd import Influxd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Influxd]:
    """One that asks everybody who they are."""
    server = Influxd(tmp_path / "influxd")
    server.start()
    server.run("CREATE USER admin WITH PASSWORD 'p' WITH ALL PRIVILEGES")
    server.stop()
    server.settings["HTTP_AUTH_ENABLED"] = "true"
    server.start()
    yield server
    server.kill()


def plant(tmp_path: Path, url: str) -> Path:
    path = tmp_path / "plant.toml"
    path.write_text(f'[store]\nkind = "influxdb"\nurl = "{url}"\n')
    return path


def init(path: Path, *options: str) -> str:
    """What it printed; an error is raised."""
    result = CliRunner().invoke(app, ["influxdb", str(path), "--tokens", str(path.parent / "secrets"), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_databases_retention_and_users_are_made_once(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run does nothing; then all is made; then there is nothing to do; each token may do its own and no more."""
    monkeypatch.setenv("KM0_INFLUXDB_OPERATOR_TOKEN", "admin:p")
    path = plant(tmp_path, server.url)
    init(path, "--dry-run", "--keep-days", "400")
    [result] = server.run("SHOW DATABASES", user="admin:p")
    assert "km0" not in str(result)
    assert not (tmp_path / "secrets").exists()
    init(path, "--keep-days", "400")
    policies = server.run('SHOW RETENTION POLICIES ON "km0"; SHOW RETENTION POLICIES ON "km0_journal"', user="admin:p")
    assert [p["series"][0]["values"][0][:2] for p in policies] == [["autogen", "9600h0m0s"], ["autogen", "168h0m0s"]]  # type: ignore[index]  # JSON
    assert "nothing to do" in init(path, "--keep-days", "400")
    assert "keep what is in km0 3 days" in init(path, "--keep-days", "3")
    assert "keep what is in km0 30 days" in init(path, "--keep-days", "30")

    def store(role: str) -> InfluxDbStore:
        token = tmp_path / "secrets" / f"influxdb-{role}-token"
        assert token.stat().st_mode & 0o777 == 0o600
        return InfluxDbStore(InfluxDbConfig(url=server.url, token=Secret(file=token)))

    now = kpi(0, 0.5)
    s = (time.time_ns() - T0) // SECOND_NS  # what is older than 30 days is refused
    store("writer").write([at(s, 1)])
    assert rows(store("reader")) == [(s, 1)]
    store("pipeline").write_kpis([now], store("pipeline").changes(0).cursor)
    assert store("reader").read_kpis(now.asset, now.kpi, now.window) == [now]
    store("platform").write([at(s + 1, 2)])
    for role, forbidden in (("reader", "write"), ("pipeline", "write"), ("reader", "kpis"), ("writer", "kpis")):
        with pytest.raises(StoreError, match="403"):
            store(role).write([at(s + 9, 9)]) if forbidden == "write" else store(role).write_kpis([now], 1)
    assert rows(store("reader")) == [(s, 1), (s + 1, 2)]


def test_a_wrong_operator_is_told(server: Influxd, tmp_path: Path) -> None:
    """And a plant that has no InfluxDB."""
    with pytest.raises(StoreError, match="token"):
        init(plant(tmp_path, server.url))
    (tmp_path / "plant.toml").write_text("")
    with pytest.raises(ConfigError, match="not InfluxDB"):
        init(tmp_path / "plant.toml")


# --- 2.x ---


class Administration(BaseHTTPRequestHandler):
    """Organisations, buckets, mappings and authorizations, kept in lists, as the API of 2.x shows them."""

    held: dict[str, list[dict[str, Any]]]
    made = 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has in the library
        """Quiet."""

    def _kind(self) -> str:
        return urlsplit(self.path).path.removeprefix("/api/v2/").split("/")[0]

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.send_response(204)
            self.send_header("X-Influxdb-Version", "v2.9.1")
            self.end_headers()
            return
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        found = [
            one
            for one in self.held[self._kind()]
            if all(str(one.get(name, value)) == value for name, value in asked.items() if name in ("name", "orgID"))
        ]
        self._answer(200, {"content" if self._kind() == "dbrps" else self._kind(): found})

    def do_POST(self) -> None:
        made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Administration.made += 1
        made["id"] = f"{Administration.made:016x}"
        if self._kind() == "authorizations":
            made |= {"token": f"token {made['id']} of {made['description']}", "status": "active"}
        if self._kind() == "buckets" and len(made["retentionRules"]) > 1:
            self._answer(422, {"code": "unprocessable entity", "message": "more than one retention rule"})
            return
        self.held[self._kind()].append(made)
        self._answer(201, made)

    def do_PATCH(self) -> None:
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        one = self._named()
        rules = change.pop("retentionRules", None)
        if rules:  # an empty list changes nothing: omitempty in tenant/http_server_bucket.go of main-2.x
            shard = rules[0].get("shardGroupDurationSeconds", one.get("shard", 7 * 86400))
            if 0 < rules[0]["everySeconds"] < shard:
                said = "retention policy duration must be greater than the shard duration"
                self._answer(422, {"code": "unprocessable entity", "message": said})
                return
            one |= {"retentionRules": rules, "shard": shard}
        one |= change
        self._answer(200, one)

    def do_DELETE(self) -> None:
        self.held[self._kind()].remove(self._named())
        self.send_response(204)
        self.end_headers()

    def _named(self) -> dict[str, Any]:
        number = urlsplit(self.path).path.split("/")[-1]
        return next(one for one in self.held[self._kind()] if one["id"] == number)

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def administered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plant file of a 2.x that has nothing yet."""
    monkeypatch.setenv("KM0_INFLUXDB_OPERATOR_TOKEN", "operator")
    Administration.held = {"orgs": [], "buckets": [], "dbrps": [], "authorizations": []}
    service = ThreadingHTTPServer(("127.0.0.1", 0), Administration)
    threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
    yield plant(tmp_path, f"http://127.0.0.1:{service.server_address[1]}")
    service.shutdown()
    service.server_close()


def kept_days() -> dict[str, float]:
    """Of each bucket the days it keeps; 0: for ever."""
    return {
        one["name"]: sum(rule["everySeconds"] for rule in one["retentionRules"]) / 86400
        for one in Administration.held["buckets"]
    }


def rights() -> dict[str, list[tuple[str, str]]]:
    """Of each token, by its description, what it may do with which bucket; "-" is one that is no more."""
    names = {one["id"]: one["name"] for one in Administration.held["buckets"]}
    return {
        one["description"]: sorted((p["action"], names.get(p["resource"]["id"], "-")) for p in one["permissions"])
        for one in Administration.held["authorizations"]
    }


def in_file(path: Path, role: str) -> bool:
    """Whether the one token of a role is that in its file."""
    [token] = [one["token"] for one in Administration.held["authorizations"] if one["description"] == f"km0 {role}"]
    return (path.parent / "secrets" / f"influxdb-{role}-token").read_text() == f"{token}\n"


def test_retention_is_that_of_the_plant_file_and_goes_both_ways(administered: Path) -> None:
    """90 days and no flag: nothing to do when run again; a flag overrides; back to "for ever"; three days."""
    bare = administered.read_text()
    administered.write_text(f"{bare}keep_days = 90\nkeep_kpis_days = 400\n")
    init(administered)
    assert kept_days() == {"km0": 90, "km0_kpi": 400, "km0_journal": 7}
    assert "nothing to do" in init(administered)
    assert "keep what is in km0 30 days" in init(administered, "--keep-days", "30")
    administered.write_text(bare)
    assert "keep what is in km0 for ever" in init(administered)
    assert kept_days() == {"km0": 0, "km0_kpi": 0, "km0_journal": 7}
    assert "nothing to do" in init(administered)
    init(administered, "--keep-days", "3")
    assert kept_days()["km0"] == 3
    assert "nothing to do" in init(administered, "--keep-days", "3")


def test_what_the_server_says_against_it_is_told(administered: Path) -> None:
    """Its own words, not only a number."""
    init(administered)
    for one in Administration.held["buckets"]:
        one["shard"] = 30 * 86400
    with pytest.raises(ConfigError, match=r"422 .*must be greater than the shard duration"):
        init(administered, "--keep-days", "10")


def test_tokens_get_rights_on_buckets_that_were_renamed_or_made_anew(administered: Path) -> None:
    """And only these: the tokens before are deleted once their files have the new ones; InfluxQL finds the bucket."""
    init(administered)
    first = rights()
    administered.write_text(administered.read_text() + 'kpi_bucket = "figures"\n')
    told = init(administered)
    assert "make the token 'km0 reader' anew" in told
    assert "'km0 writer'" not in told
    assert rights()["km0 reader"] == [("read", "figures"), ("read", "km0")]
    assert rights()["km0 writer"] == first["km0 writer"]
    assert "nothing to do" in init(administered)
    held = Administration.held
    held["buckets"] = [one for one in held["buckets"] if one["name"] != "km0"]
    assert ("read", "-") in rights()["km0 reader"]
    init(administered)
    assert rights()["km0 writer"] == first["km0 writer"]
    assert len(held["authorizations"]) == 4
    assert all(in_file(administered, role) for role in ("writer", "reader", "pipeline", "platform"))
    [mapped] = [one["bucketID"] for one in held["dbrps"] if one["database"] == "km0"]
    assert mapped == next(one["id"] for one in held["buckets"] if one["name"] == "km0")
    assert "nothing to do" in init(administered)


def test_a_bucket_of_the_same_name_in_another_organisation_is_not_ours(administered: Path) -> None:
    """Ours is made beside it."""
    Administration.held["orgs"].append({"id": "f" * 16, "name": "other"})
    Administration.held["buckets"].append(
        {"id": "e" * 16, "name": "km0", "orgID": "f" * 16, "retentionRules": [{"type": "expire", "everySeconds": 5}]}
    )
    init(administered)
    assert [one["name"] for one in Administration.held["buckets"]].count("km0") == 2
    assert Administration.held["buckets"][0]["retentionRules"][0]["everySeconds"] == 5
    assert "nothing to do" in init(administered)


def test_organisation_buckets_mappings_and_tokens_are_made_once(administered: Path) -> None:
    """2.x: three buckets with retention and their InfluxQL mapping; each token has exactly the rights of its role."""
    held = Administration.held
    init(administered, "--dry-run")
    assert held == {"orgs": [], "buckets": [], "dbrps": [], "authorizations": []}
    init(administered)
    assert "nothing to do" in init(administered)
    init(administered, "--keep-kpis-days", "10")
    assert [one["name"] for one in held["orgs"]] == ["km0"]
    assert kept_days() == {"km0": 0, "km0_kpi": 10, "km0_journal": 7}
    assert [(one["database"], one["retention_policy"]) for one in held["dbrps"]] == [
        (name, "autogen") for name in ("km0", "km0_kpi", "km0_journal")
    ]
    assert rights()["km0 reader"] == [("read", "km0"), ("read", "km0_kpi")]
    assert rights()["km0 pipeline"] == [
        ("read", "km0"),
        ("read", "km0_journal"),
        ("read", "km0_kpi"),
        ("write", "km0_kpi"),
    ]
    assert in_file(administered, "reader")
