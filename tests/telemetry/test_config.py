"""A wrong plant file stops the start and says where, and what was probably meant."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from telemetry.config import HostName, Secret, Section, TimeOfDay, load, parse
from telemetry.errors import ConfigError


class Mqtt(Section):
    kind: Literal["mqtt"]
    host: str
    port: int = 1883


class Opcua(Section):
    kind: Literal["opcua"]
    url: str


class Shift(Section):
    name: str
    start: TimeOfDay = 0


class Sample(Section):
    name: str = ""
    shifts: tuple[Shift, ...] = ()
    collectors: tuple[Annotated[Mqtt | Opcua, Field(discriminator="kind")], ...] = ()


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Sample)
    return str(caught.value)


def test_a_right_file_becomes_its_section() -> None:
    """Arrays of tables fill tuples, unions are told apart by `kind`, and times of day become minutes."""
    text = '[[shifts]]\nname = "night"\nstart = "21:30"\n[[collectors]]\nkind = "mqtt"\nhost = "broker"\n'
    section = parse(text, Sample)
    assert section.shifts == (Shift(name="night", start=21 * 60 + 30),)
    assert section.collectors == (Mqtt(kind="mqtt", host="broker"),)


def test_a_misspelt_key_is_named_with_its_line_and_a_suggestion() -> None:
    """The path, the line in the file and the nearest key of that very section are given."""
    opcua = '[[collectors]]\nkind = "opcua"\nurl = "u"\n'
    text = f'name = "x"\n\n{opcua}\n[[collectors]]\nkind = "mqtt"\nhosst = "h"\nhost = "h"\n'
    assert fault(text) == "plant.toml:9: collectors[1].hosst: unknown key; did you mean 'host'?"


def test_a_missing_key_is_named_with_the_line_of_its_table() -> None:
    """There is no line for what is absent, so the table's own line is given."""
    assert fault('[[collectors]]\nkind = "mqtt"\n') == "plant.toml:1: collectors[0].host: this key is required"


def test_an_unknown_kind_lists_the_kinds() -> None:
    """A collector of a kind that does not exist says which kinds there are."""
    message = fault('[[collectors]]\nkind = "modbus"\n')
    assert message.startswith("plant.toml:1: collectors[0]")
    assert "'mqtt'" in message
    assert "'opcua'" in message


def test_values_are_not_bent_into_shape() -> None:
    """A number in quotes is a mistake, not a number."""
    assert fault('[[collectors]]\nkind = "mqtt"\nhost = "h"\nport = "1883"\n') == (
        "plant.toml:4: collectors[0].port: Input should be a valid integer"
    )


@pytest.mark.parametrize("wrong", ["25:00", "7h30", "12:60", "24:01"])
def test_a_time_of_day_out_of_range_is_refused(wrong: str) -> None:
    """Times are "HH:MM", up to "24:00"."""
    assert "a time of day is written" in fault(f'[[shifts]]\nname = "a"\nstart = "{wrong}"\n')


def test_every_fault_is_reported_at_once() -> None:
    """One run shows all mistakes, not the first of them."""
    assert len(fault('nam = "x"\nshift = []\n').splitlines()) == 2


def test_broken_toml_says_where() -> None:
    """The TOML parser's own line and column reach the user."""
    assert "line 1" in fault("name = \nx = 1")


def test_an_absent_file_says_how_to_get_one(tmp_path: Path) -> None:
    """The message names the file and the command that writes one."""
    with pytest.raises(ConfigError, match="km0 init"):
        load(tmp_path / "none.toml", Sample)


def test_a_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    """A Windows-1252 file is refused with the way out."""
    path = tmp_path / "plant.toml"
    path.write_bytes('name = "après"'.encode("cp1252"))
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        load(path, Sample)


def test_the_mark_of_windows_editors_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Saved as "UTF-8 with BOM": the same file, and the same secret."""
    path = tmp_path / "plant.toml"
    path.write_bytes(b"\xef\xbb\xbf" + 'name = "après"'.encode())
    assert load(path, Sample).name == "après"
    path.write_bytes(b"\xef\xbb\xbfgeheim\r\n")
    assert Secret(file=path).read() == "geheim"


def test_a_secret_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    """A password with an accent, saved by an old editor: a sentence, without the secret in it."""
    path = tmp_path / "secret"
    path.write_bytes("clé".encode("cp1252"))
    with pytest.raises(ConfigError, match="save it as UTF-8") as caught:
        Secret(file=path).read()
    assert "cl" not in str(caught.value).replace(str(path), "")


class Whole(Section):
    name: str = ""

    @model_validator(mode="after")
    def _right(self) -> "Whole":
        raise ValueError("it makes no sense")


def test_what_is_wrong_with_the_whole_file_is_at_no_line() -> None:
    """The file and the sentence, no empty place between them."""
    with pytest.raises(ConfigError) as caught:
        parse('name = "x"', Whole)
    assert str(caught.value) == "plant.toml: it makes no sense"


class Reached(Section):
    host: HostName


@pytest.mark.parametrize("host", ["broker", "broker.local.", "10.0.0.7", "::1", "fe80::1%eth0", "usine.été.fr"])
def test_hosts_are_names_or_addresses(host: str) -> None:
    """Whatever a resolver can be asked for."""
    assert parse(f'host = "{host}"', Reached).host == host


@pytest.mark.parametrize("host", ["", "broker..local", ".local", "x" * 64])
def test_a_host_that_no_resolver_takes_stops_the_start(host: str) -> None:
    """The resolver fails on such names as on no other: it would end the process, and every collector with it."""
    with pytest.raises(ConfigError, match=r"plant\.toml:1: host: "):
        parse(f'host = "{host}"', Reached)


def test_a_secret_is_read_from_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, or from a file without its trailing line break."""
    monkeypatch.setenv("KM0_TEST_SECRET", "s3")
    path = tmp_path / "secret"
    path.write_text("from file\n")
    assert Secret(env="KM0_TEST_SECRET").read() == "s3"
    assert Secret(file=path).read() == "from file"


def test_a_secret_that_is_not_there_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable or the file is named; a secret given twice or not at all is refused."""
    monkeypatch.delenv("KM0_TEST_SECRET", raising=False)
    with pytest.raises(ConfigError, match="KM0_TEST_SECRET"):
        Secret(env="KM0_TEST_SECRET").read()
    with pytest.raises(ConfigError, match="none"):
        Secret(file=tmp_path / "none").read()
    for wrong in ({}, {"env": "A", "file": tmp_path}):
        with pytest.raises(ValueError, match="one of the two"):
            Secret(**wrong)  # type: ignore[arg-type]  # the wrong shape is the point
