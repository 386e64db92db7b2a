"""docker-compose.yml: what it promises, and each of our services run as it says, against a real broker and database."""

import re
import ssl
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from typer.testing import CliRunner

from km0.influxd import launched
from km0.init import app
from km0.plantfile import PlantFile
from telemetry.config import load
from tests.km0.containers import REPOSITORY, Pod, asked, compose_file, fetched, pod
from tests.support import require_program

OURS = ("prepare", "collectors", "pipeline", "web", "sim")


def init(folder: Path, *options: str) -> str:
    """What `km0 init compose` printed; an error is raised."""
    result = CliRunner().invoke(app, ["compose", str(folder), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    init(tmp_path)
    return tmp_path


# --- what `km0 init compose` makes ---


def test_secrets_are_made_once_and_are_nobody_elses(tmp_path: Path) -> None:
    """A dry run makes nothing; then all is made; then nothing; every secret is its owner's alone, no two are alike."""
    init(tmp_path, "--dry-run")
    assert list(tmp_path.iterdir()) == []
    said = init(tmp_path)
    held = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert "nothing to do" in init(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == held
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    passwords = [text for name, text in held.items() if name.endswith(("-password", "operator-token"))]
    assert len(set(passwords)) == len(passwords) == 6
    assert min(map(len, passwords)) > 30
    assert not [text for text in passwords if text.decode().strip() in said]


def test_a_lost_secret_is_made_again_and_what_depends_on_it_too(prepared: Path) -> None:
    """Without the machines' password there is a new one, whose hash the broker gets; the others stay."""
    secrets = prepared / "secrets"
    before = (secrets / "mosquitto-passwords").read_text().splitlines()
    (secrets / "mqtt-machines-password").unlink()
    init(prepared)
    after = (secrets / "mosquitto-passwords").read_text().splitlines()
    users = [line.split(":")[0] for line in before]
    changed = [
        user for user, old, new in zip(users, before, after, strict=True) if old.split("$")[4] != new.split("$")[4]
    ]
    assert "km0-machines" in changed
    assert "nothing to do" in init(prepared)


def test_the_certificate_is_for_every_name_that_was_ever_given(prepared: Path) -> None:
    """And is made anew only when a name is new."""
    server = prepared / "secrets" / "mqtt-server.pem"
    init(prepared, "--name", "broker.plant.example", "--name", "192.0.2.7")
    made = server.read_bytes()
    init(prepared, "--name", "192.0.2.7")
    assert server.read_bytes() == made
    found = ssl._ssl._test_decode_cert(str(server))  # type: ignore[attr-defined]  # how Python's own tests read one
    names = {("IP" if kind == "IP Address" else kind, name) for kind, name in found["subjectAltName"]}
    assert names == {
        ("DNS", "mosquitto"), ("DNS", "localhost"), ("IP", "127.0.0.1"), ("DNS", "broker.plant.example"),
        ("IP", "192.0.2.7"),
    }  # fmt: skip


def test_what_a_user_has_edited_stays(prepared: Path) -> None:
    """The plant file, the broker's ACL and .env are written once."""
    for path in ("plant-compose.toml", "secrets/mosquitto-acl"):
        (prepared / path).write_text("# mine\n")
    (prepared / ".env").write_text("KM0_UID=1234\nKM0_ALERT_EMAIL=plant@example.org")
    init(prepared)
    assert (prepared / "plant-compose.toml").read_text() == "# mine\n"
    assert (prepared / "secrets" / "mosquitto-acl").read_text() == "# mine\n"
    *lines, group = (prepared / ".env").read_text().splitlines()
    assert lines == ["KM0_UID=1234", "KM0_ALERT_EMAIL=plant@example.org"]
    assert group.startswith("KM0_GID=")


def test_the_plant_is_the_demonstrators(prepared: Path) -> None:
    """Only addresses, secrets and folders differ."""
    made, own = load(prepared / "plant-compose.toml", PlantFile), load(REPOSITORY / "plant.toml", PlantFile)
    assert made.plant == own.plant
    assert [one.name for one in made.collectors] == [one.name for one in own.collectors]
    assert made.store.kind == "influxdb"


# --- what docker-compose.yml promises ---


def test_every_service_is_pinned_limited_and_without_rights(prepared: Path) -> None:
    """A version, a memory limit, a user but root, a read-only root, no capabilities, a restart policy, a check."""
    services = compose_file(prepared)["services"]
    assert set(services) == {"mosquitto", "influxdb", "grafana", *OURS}
    for name, service in services.items():
        assert service["image"].partition(":")[2].count(".") == 2, name
        assert service["mem_limit"], name
        assert service["user"].split(":")[0] != "0", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["restart"] == ("no" if name == "prepare" else "unless-stopped"), name
        assert ("healthcheck" in service) == (name != "prepare"), name


def test_nothing_is_published_beyond_this_machine(prepared: Path) -> None:
    """Unless KM0_MQTT_ADDRESS says where the machines are; the database is in a network without a way out."""
    told = compose_file(prepared)
    ports = [port for service in told["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:3000:3000", "127.0.0.1:8080:8080", "127.0.0.1:8883:8883"]
    assert told["services"]["influxdb"]["networks"] == ["store"]
    assert told["networks"]["store"]["internal"] is True


def test_no_secret_is_written_and_each_is_made(prepared: Path) -> None:
    """Every secret that a service is given is a file that `km0 init compose` made; the words of none stand anywhere."""
    told, text = compose_file(prepared), (REPOSITORY / "docker-compose.yml").read_text()
    made = {path.name for path in (prepared / "secrets").iterdir()}
    for name, secret in told["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert name in made
    for service in told["services"].values():
        for secret in service.get("secrets", []):
            assert (secret["source"] if isinstance(secret, dict) else secret) in told["secrets"]
        words = {name: value for name, value in service.get("environment", {}).items() if "PASSWORD" in name}
        assert all(value.startswith("/run/secrets/") for value in words.values())
    for path in (prepared / "secrets").iterdir():
        assert path.read_text().strip() not in text or not path.read_text().strip()


def test_grafana_is_given_what_is_rendered(prepared: Path) -> None:
    """Each folder that is mounted there is one that `km0 grafana render` made."""
    for volume in compose_file(prepared)["services"]["grafana"]["volumes"]:
        source = volume.split(":")[0]
        if source.startswith("./dashboards"):
            assert list((REPOSITORY / source).iterdir()), source


def test_the_image_has_what_its_commands_import() -> None:
    """requirements/server.txt holds the libraries of InfluxDB, OPC UA, the web app and DuckDB, and no test's."""
    held = {
        line.partition("==")[0]
        for line in (REPOSITORY / "requirements" / "server.txt").read_text().splitlines()
        if "==" in line
    }
    assert held >= {"influxdb-client", "urllib3", "asyncua", "fastapi", "uvicorn", "duckdb", "protobuf", "hatchling"}
    assert not held & {"pytest", "mypy", "ruff", "pandas", "playwright"}
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert "requirements/server.txt" in dockerfile
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith(("!secrets", "!.env", "!state"))]


# --- our services, as it says ---


@pytest.fixture
def own_pod(prepared: Path) -> Iterator[Pod]:
    with pod(prepared, list(compose_file(prepared)["services"])) as made:
        yield made


def until(what: str, true: Callable[[], Any], folder: Path, seconds: float = 200.0) -> Any:
    """What `true` gives once it is something; else the last words of everybody."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.5)  # each question is a process of its own
    logs = {path.name: path.read_text(errors="replace")[-1500:] for path in folder.glob("*.log")}
    raise AssertionError(f"not {what} after {seconds:g} s\n" + "\n".join(f"--- {n}\n{t}" for n, t in logs.items()))


@pytest.mark.timeout(400)
def test_the_services_bring_live_kpi_values(own_pod: Pod, prepared: Path) -> None:
    """Broker with TLS and ACL, database with users, our five services by their real commands: machines are simulated,
    collected, stored, computed and shown, each part with its own rights; the web shows what every part says."""
    folder, told = prepared, compose_file(prepared)
    _without_breaks(folder / "plant-compose.toml")
    services, files = told["services"], {name: folder / one["file"] for name, one in told["secrets"].items()}
    _influxd(own_pod, folder, files["influxdb-operator-token"])

    own_pod.start("mosquitto", services["mosquitto"], [], files)
    until("healthy: mosquitto", lambda: own_pod.healthy(services["mosquitto"], files), folder)
    assert own_pod.start("prepare", services["prepare"], [_km0()], files).wait(60) == 0, _log(folder, "prepare")
    assert own_pod.start("prepare", services["prepare"], [_km0()], files).wait(60) == 0
    assert "nothing to do" in _log(folder, "prepare")
    # the machines last: what they said before anybody had subscribed, a broker has no session to keep it for
    for together in (("collectors", "pipeline", "web"), ("sim",)):
        for name in together:
            own_pod.start(name, services[name], [_km0()], files)
        for name in together:
            until(f"healthy: {name}", lambda name=name: own_pod.healthy(services[name], files), folder)  # type: ignore[misc]

    cookie = _logged_in(own_pod, folder)
    assert asked(own_pod, "http://127.0.0.1:8080/api/v1/plant/now") is None  # who is not logged in sees nothing
    press = "asset=km0/fabrication/cell-2/press-1&kpi=trs&kind=day"
    mill = "asset=km0/fabrication/cell-1/mill-1&kpi=trs&kind=day"
    for query in (press, mill):  # one over MQTT, one over OPC UA; of the day, for an hour may be all break

        def known(query: str = query) -> Any:
            found = asked(own_pod, f"http://127.0.0.1:8080/api/v1/kpi-values?{query}", cookie)
            return found and [one for one in found["values"] if one["value"] is not None and not one["final"]]

        [live] = until(f"a live {query}", known, folder)[-1:]
        # just after midnight a part that was begun the day before may be longer than the day: the mill's take 390 s
        assert 0 <= live["numerator"] <= 2 * live["denominator"] + 390
        assert live["value"] == pytest.approx(live["numerator"] / live["denominator"])
    link = "http://127.0.0.1:8080/api/v1/plant/now"
    until(
        "a round trip of the link",
        lambda: (asked(own_pod, link, cookie) or {}).get("links", [{}])[0].get("rtt_ms"),
        folder,
    )

    def parts() -> bool:
        told = asked(own_pod, "http://127.0.0.1:8080/api/v1/health", cookie)
        fine = {one["name"] for one in told["components"] if one["condition"] == "ok"}
        return {"spool", "drain", "broker", "cell-1", "probe-5g", "recompute"} <= fine

    until("well, as the web app has it: every part", parts, folder)
    assert asked(own_pod, "http://127.0.0.1:8080/api/v1/deadletters", cookie) is not None
    until("kept: the charts' script", lambda: list((folder / "state/web/.cache/km0").glob("vega-*.js.gz")), folder)

    assert own_pod.stop("collectors") == 0
    assert not own_pod.healthy(services["collectors"], files)
    silent = until(
        "said that the collectors are silent",
        lambda: [
            one
            for one in asked(own_pod, "http://127.0.0.1:8080/api/v1/health", cookie)["components"]
            if one["name"] == "collectors" and one["condition"] == "failing"
        ],
        folder,
    )
    assert "is it running?" in silent[0]["detail"]
    for name in ("sim", "pipeline", "web"):
        assert own_pod.stop(name) == 0, _log(folder, name)


def test_the_broker_lets_nobody_in_without_a_password_and_gives_each_its_own(own_pod: Pod, prepared: Path) -> None:
    """No anonymous client, no plain TCP, no wrong password; machines may not read, collectors not speak for them."""
    told = compose_file(prepared)
    files = {name: prepared / one["file"] for name, one in told["secrets"].items()}
    broker = told["services"]["mosquitto"]
    own_pod.start("mosquitto", broker, [], files)
    until("healthy", lambda: own_pod.healthy(broker, files), prepared)
    encrypted = ["-h", "mosquitto", "-p", "8883", "--cafile", str(files["mqtt-ca.pem"]), "-V", "5"]
    plain = ["-h", "mosquitto", "-p", "8883", "-V", "5"]

    def sent(login: list[str], by: list[str] = encrypted) -> str:
        done = own_pod.run(["mosquitto_pub", *by, *login, "-q", "1", "-t", "km0/a/b/c/power", "-m", "1"])
        return "" if done.returncode == 0 and not done.stderr else done.stderr + str(done.returncode)

    def login(user: str) -> list[str]:
        return ["-u", f"km0-{user}", "-P", files[f"mqtt-{user}-password"].read_text().strip()]

    require_program("mosquitto_pub", "mosquitto-clients")
    assert sent([])
    assert sent(["-u", "km0-machines", "-P", "machines"])
    assert sent(login("machines"), plain)
    assert sent(login("machines")) == ""
    assert "Not authorized" in sent(login("collectors"))
    heard = own_pod.run(["mosquitto_sub", *encrypted, *login("machines"), "-t", "km0/#", "-W", "3"])
    assert "denied" in heard.stderr or heard.stdout == ""


def _without_breaks(plant: Path) -> None:
    """In a break nothing is required, and a machine heard of since then has no TRS: twenty minutes, thrice a day."""
    text, found = re.subn(r"^breaks = \[\n.*?^\]\n", "", plant.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert found == 1
    plant.write_text(text)


def _km0() -> str:
    return str(Path(sys.executable).with_name("km0"))


def _log(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text(errors="replace")


def _logged_in(own: Pod, folder: Path) -> str:
    """The session of the first administrator, who sets a password by the link that the web app printed."""
    link = until("a link", lambda: re.search(r"http://127\.0\.0\.1:8080/welcome/\S+", _log(folder, "web")), folder)[0]
    form = urlencode({"name": "admin@plant.example", "password": "a long password of the plant"})
    answer = fetched(own, link, form=form)
    assert answer is not None, link
    return answer[1].split(";")[0]


def _influxd(own: Pod, folder: Path, token: Path) -> None:
    """Debian's InfluxDB 1.6.7 in place of the image's 2.7, with users; on 1.x a token is "user:password"."""
    require_program("influxd", "influxdb")
    command, environment = launched(folder / "influxd", 8086, HTTP_AUTH_ENABLED="true")
    own.host(command, folder / "influxd.log", environment)
    password = token.read_text().strip()
    token.write_text(f"operator:{password}\n")
    statement = f"q=CREATE USER operator WITH PASSWORD '{password}' WITH ALL PRIVILEGES"
    ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:8086/query', data={statement.encode()!r})"
    until("up: influxd", lambda: own.run([sys.executable, "-c", ask]).returncode == 0, folder)


def test_the_compose_file_is_yaml_without_inline_files() -> None:
    """An engine cannot put inline configs and secrets into a container whose root is read-only."""
    told = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    assert "configs" not in told
    assert all("file" in secret for secret in told["secrets"].values())
