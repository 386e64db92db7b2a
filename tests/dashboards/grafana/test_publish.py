"""`km0 grafana publish` against a server that takes what Grafana's API documents and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.grafana import alerts
from dashboards.grafana.publish import Grafana, Wanted
from dashboards.grafana.texts import Texts
from km0.grafana import app
from km0.plantfile import sample_file
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.errors import ConfigError, SourceError
from tests.dashboards.grafana.simulated_day import demonstrator
from tests.dashboards.grafana.strict_grafana import StrictGrafana
from tests.support import free_port

PLANT = demonstrator()
WANTED = Wanted(PLANT, InfluxDbConfig(), "0.1.0", reader_token="read-only", mail="equipe@example.org")


@pytest.fixture
def server() -> Iterator[StrictGrafana]:
    with StrictGrafana() as grafana:
        yield grafana


def test_everything_is_there_after_publishing(server: StrictGrafana) -> None:
    """Fourteen boards in two folders, two data sources with the read-only token, one contact point, all rules."""
    list(Grafana(server.url, "admin\n").publish(WANTED))
    assert set(server.folders) == {"km0-fr", "km0-en"}
    assert len(server.boards) == 14
    assert server.boards["km0-wall-fr"]["message"] == "km0 0.1.0"
    assert {source["secureJsonData"]["httpHeaderValue1"] for source in server.sources.values()} == {"Token read-only"}
    assert server.contacts["km0-mail"]["settings"]["addresses"] == "equipe@example.org"
    assert len(server.groups["km0-fr", "km0"]["rules"]) == len(alerts.rules(PLANT, Texts("fr")))


def test_publishing_twice_changes_nothing(server: StrictGrafana) -> None:
    """The second time only the data sources are sent, because their token cannot be read back."""
    list(Grafana(server.url, "admin").publish(WANTED))
    server.writes.clear()
    said = list(Grafana(server.url, "admin").publish(WANTED))
    assert server.writes == [("PUT", "/datasources/uid/km0-samples"), ("PUT", "/datasources/uid/km0-kpis")]
    assert sum(line.startswith("same") for line in said) == 16
    assert server.boards["km0-wall-fr"]["dashboard"]["version"] == 1


def test_a_board_that_somebody_changed_is_put_right_as_a_new_version(server: StrictGrafana) -> None:
    """One board is written, Grafana keeps the changed one in its history."""
    list(Grafana(server.url, "admin").publish(WANTED))
    server.boards["km0-wall-fr"]["dashboard"]["title"] = "Mine"
    server.writes.clear()
    said = list(Grafana(server.url, "admin").publish(WANTED))
    assert [line for line in said if "board" in line and not line.startswith("same")] == ["made     board km0-wall-fr"]
    assert server.boards["km0-wall-fr"]["dashboard"]["version"] == 2


def test_a_dry_run_writes_nothing(server: StrictGrafana) -> None:
    """It says all that it would do, and does none of it."""
    said = list(Grafana(server.url, "admin", dry_run=True).publish(WANTED))
    assert server.writes == []
    assert len([line for line in said if line.startswith("would be made: board")]) == 14


def test_removing_takes_ours_and_nothing_else(server: StrictGrafana) -> None:
    """Somebody's own board in our folder stays, and the folder with it; the rest is gone; twice is harmless."""
    list(Grafana(server.url, "admin").publish(WANTED))
    server.boards["theirs"] = {"dashboard": {"uid": "theirs", "version": 1}, "folderUid": "km0-fr", "message": ""}
    server.sources["theirs"] = {"uid": "theirs"}
    said = list(Grafana(server.url, "admin").remove())
    assert set(server.boards) == {"theirs"}
    assert set(server.folders) == {"km0-fr"}
    assert set(server.sources) == {"theirs"}
    assert server.contacts == {}
    assert server.groups == {}
    assert any(line.startswith("kept") for line in said)
    server.writes.clear()
    list(Grafana(server.url, "admin").remove())
    assert server.writes == []


def test_without_a_mail_address_rules_follow_the_routing_that_is_there(server: StrictGrafana) -> None:
    """No contact point is made, and no rule names one; data sources are left alone without a token."""
    list(Grafana(server.url, "admin").publish(Wanted(PLANT, InfluxDbConfig(), "0.1.0")))
    assert server.contacts == {}
    assert server.sources == {}
    assert all("notification_settings" not in rule for rule in server.groups["km0-fr", "km0"]["rules"])


def test_alerts_are_in_one_language_at_a_time(server: StrictGrafana) -> None:
    """In English after French: the French rules go, for a rule's uid is unique in all of Grafana."""
    list(Grafana(server.url, "admin").publish(WANTED))
    list(Grafana(server.url, "admin").publish(replace(WANTED, alert_language="en")))
    assert set(server.groups) == {("km0-en", "km0")}


@pytest.mark.parametrize(("token", "says"), [("wrong", "does not know this token"), ("viewer", "role Admin")])
def test_a_token_that_does_not_do_is_explained(server: StrictGrafana, token: str, says: str) -> None:
    """Unknown, or of a role that may only look."""
    with pytest.raises(ConfigError, match=says):
        list(Grafana(server.url, token).publish(WANTED))


def test_an_old_grafana_is_refused_before_anything_is_written() -> None:
    """Version 10 does not know all that the boards say."""
    with StrictGrafana("10.4.1") as server:
        with pytest.raises(ConfigError, match=r"Grafana 10\.4\.1.*11\.0"):
            list(Grafana(server.url, "admin").publish(WANTED))
        assert server.writes == []


def test_a_grafana_that_fails_or_is_not_there_is_a_source_error(server: StrictGrafana) -> None:
    """Its own words are kept; a port where nobody listens is named."""
    server.problem = 503
    with pytest.raises(SourceError, match="database is locked"):
        list(Grafana(server.url, "admin").publish(WANTED))
    with pytest.raises(SourceError, match="cannot be reached"):
        list(Grafana(f"http://127.0.0.1:{free_port()}", "admin").publish(WANTED))


def test_an_address_without_a_scheme_is_put_right() -> None:
    """The sentence shows how to write it."""
    with pytest.raises(ConfigError, match="http://127"):
        Grafana("127.0.0.1:3000", "admin")


def test_a_token_does_not_pass_in_clear() -> None:
    """Over http:// to another machine it is refused before anything is sent, unless somebody says that it may."""
    with pytest.raises(ConfigError, match=r"in clear.*https://"):
        Grafana("http://grafana.example:3000", "admin")
    Grafana("http://grafana.example:3000", "admin", in_clear=True)
    Grafana("https://grafana.example", "admin")


def test_the_command_publishes_with_the_token_of_a_file(server: StrictGrafana, tmp_path: Path) -> None:
    """`km0 grafana publish --url … --token-file …`, with the demonstrator's plant file."""
    token = tmp_path / "token"
    token.write_text("admin\n")
    arguments = ["publish", str(sample_file()), "--url", server.url, "--token-file", str(token)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert len(server.boards) == 14
    assert CliRunner().invoke(app, [*arguments, "--remove"]).exit_code == 0
    assert server.boards == {}
