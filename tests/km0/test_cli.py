"""The command line: what a user types, what they read back, and the exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from km0 import __version__
from km0.plantfile import PlantFile, sample_file
from telemetry.config import load, parse
from telemetry.errors import ConfigError


def km0(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "km0.cli", *arguments], capture_output=True, text=True, timeout=60, cwd=cwd, check=False
    )


def test_version_is_the_package_version() -> None:
    """`km0 --version` prints one line and ends well."""
    answer = km0("--version")
    assert (answer.returncode, answer.stdout) == (0, f"km0 {__version__}\n")


def test_help_lists_the_commands_a_newcomer_needs() -> None:
    """`km0 --help` names demo, run, check and init, each with a sentence."""
    answer = km0("--help")
    assert answer.returncode == 0
    for command in ("demo", "run", "check", "init", "glossary"):
        assert command in answer.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("simulate",), ("scenario's [h].", "Wait so long [s]")),
        (("init", "influxdb"), ("its [store] says", "[days]")),
    ],
)
def test_help_shows_units_and_sections(command: tuple[str, ...], words: tuple[str, ...]) -> None:
    """What stands in square brackets is read by people, not taken for markup, in commands and in groups of them."""
    shown = " ".join(km0(*command, "--help").stdout.replace("│", " ").split())
    assert all(word in shown for word in words), shown


def test_check_accepts_the_sample_file() -> None:
    """The demonstrator's own plant file is right, and says how much there is in it."""
    answer = km0("check", str(sample_file()))
    assert answer.returncode == 0, answer.stderr
    assert "6 assets" in answer.stdout


def test_check_names_the_line_and_a_suggestion_for_a_misspelt_key(tmp_path: Path) -> None:
    """Exit code 2, path, line and the key that was probably meant; no traceback."""
    text = sample_file().read_text(encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith("timezone"))
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace("timezone =", "timezonne =", 1), encoding="utf-8")
    answer = km0("check", str(wrong))
    assert answer.returncode == 2
    assert f"{wrong}:{line}: plant.timezonne: unknown key; did you mean 'timezone'?" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_check_of_no_file_says_how_to_get_one(tmp_path: Path) -> None:
    """A newcomer in an empty folder is told about `km0 init`."""
    answer = km0("check", cwd=tmp_path)
    assert answer.returncode == 2
    assert "km0 init" in answer.stderr


def test_two_collectors_of_one_name_are_refused(tmp_path: Path) -> None:
    """Health and logs tell collectors apart by name."""
    topics = 'topics = [{ dialect = "json", topic = "{asset}/{metric}" }]\n'
    section = '[[collectors]]\nkind = "mqtt"\nname = "a"\nhost = "h"\n' + topics
    (tmp_path / "plant.toml").write_text(section + section)
    answer = km0("check", cwd=tmp_path)
    assert answer.returncode == 2
    assert "two collectors are named 'a'" in answer.stderr


@pytest.mark.parametrize("name", ["drain", "spool", "recompute", "web"])
def test_a_collector_is_not_called_as_a_part_of_the_platform(name: str) -> None:
    """They would share one line of the health page, and the drain would say that a broker which is gone is well."""
    text = f'[[collectors]]\nkind = "mqtt"\nname = "{name}"\nhost = "h"\n'
    with pytest.raises(ConfigError, match=f"'{name}', as a part of the platform"):
        parse(text + 'topics = [{ dialect = "json", topic = "{asset}/{metric}" }]\n', PlantFile)


def test_two_collectors_are_not_one_client_of_a_broker() -> None:
    """A broker knows one client by an id: both would be thrown out in turn, for ever. Of two brokers it may be one."""
    section = '[[collectors]]\nkind = "mqtt"\nname = "{}"\nhost = "{}"\nclient_id = "km0"\n'
    section += 'topics = [{{ dialect = "json", topic = "{{asset}}/{{metric}}" }}]\n'
    parse(section.format("a", "h") + section.format("b", "other"), PlantFile)
    with pytest.raises(ConfigError, match="the same client 'km0' of h"):
        parse(section.format("a", "h") + section.format("b", "h"), PlantFile)


def test_init_writes_a_file_that_check_accepts_and_never_overwrites(tmp_path: Path) -> None:
    """What `init` wrote and a user edited is not lost to a second `init`."""
    assert km0("init", cwd=tmp_path).returncode == 0
    assert km0("check", cwd=tmp_path).returncode == 0
    (tmp_path / "plant.toml").write_text("# mine\n")
    again = km0("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "plant.toml").read_text() == "# mine\n"


def test_the_plain_command_line_loads_no_heavy_library() -> None:
    """asyncua, fastapi, duckdb and matplotlib-sized things are imported by the section that needs them, not before."""
    heavy = ["asyncua", "fastapi", "duckdb", "uvicorn", "altair", "polars", "influxdb_client", "google.protobuf"]
    code = f"import sys, km0.cli, km0.plantfile; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("path", [sample_file()], ids=["plant.toml"])
def test_the_sample_file_is_the_demonstrator(path: Path) -> None:
    """Two machines over OPC UA, two over MQTT and a 5G link, as the README says."""
    file = load(path, PlantFile)
    assert sorted(collector.kind for collector in file.collectors) == ["mqtt", "opcua", "probe"]
    assert [asset.kind for asset in file.plant.assets].count("machine") == 4
    assert [asset.kind for asset in file.plant.assets].count("link") == 1
