"""[store] kind = "influxdb": what is refused before a server is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from km0.cli import app
from pipeline.stores import InfluxDbConfig
from telemetry.config import parse
from telemetry.errors import ConfigError

TOKEN = 'token = { env = "T" }'


@pytest.mark.parametrize("url", ["http://influxdb:8086", "http://192.0.2.7:8086", "http://localhost.example:8086"])
def test_a_token_does_not_pass_in_clear(url: str) -> None:
    """Beyond this machine it takes https://, or somebody who says that the network is all theirs."""
    section = f'kind = "influxdb"\nurl = "{url}"\n'
    with pytest.raises(ConfigError, match=r"in clear.*https://.*token_in_clear = true"):
        parse(section + TOKEN, InfluxDbConfig)
    assert parse(f"{section}{TOKEN}\ntoken_in_clear = true", InfluxDbConfig).token_in_clear
    assert parse(section, InfluxDbConfig).token is None


@pytest.mark.parametrize(
    "url", ["https://influx.example", "http://127.0.0.1:8086", "http://127.8.8.8:1", "http://[::1]:1"]
)
def test_nobody_is_on_the_way_over_https_or_inside_this_machine(url: str) -> None:
    """There a token passes without a word."""
    assert parse(f'kind = "influxdb"\nurl = "{url}"\n{TOKEN}', InfluxDbConfig).url == url


def test_the_operators_token_does_not_pass_in_clear_either(tmp_path: Path) -> None:
    """`km0 init influxdb` with a plant file that names no token of its own."""
    plant = tmp_path / "plant.toml"
    plant.write_text('[store]\nkind = "influxdb"\nurl = "http://influxdb.example:8086"\n')
    done = CliRunner().invoke(app, ["init", "influxdb", str(plant)], env={"KM0_INFLUXDB_OPERATOR_TOKEN": "x"})
    assert "in clear" in str(done.exception) + done.output
