"""Whether the packages of a peer are there: the peers themselves are installed, and used, by the tests of each room."""

import json
from pathlib import Path

import pytest

from tests.foreign.install import FOLDER, has_what_is_named


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/package.json")), ids=lambda file: file.parent.name)
def test_every_peer_names_exact_versions(file: Path) -> None:
    """What is installed today is what was installed yesterday."""
    for version in json.loads(file.read_text())["dependencies"].values():
        assert all(part.isdigit() for part in version.rpartition("@")[2].split("."))


def test_packages_are_there_when_npm_has_written_each_in_the_version_that_is_named(tmp_path: Path) -> None:
    """Not when npm was ended half-way, not when another version is named by now; an alias has its own name."""
    list_, modules = tmp_path / "node_modules" / ".package-lock.json", tmp_path / "node_modules"

    def names(**versions: str) -> None:
        (tmp_path / "package.json").write_text(json.dumps({"dependencies": versions}))

    names(opcua="2.1.0", schema="npm:@grafana/schema@11.6.0")
    assert not has_what_is_named(tmp_path)
    (modules / "opcua").mkdir(parents=True)
    assert not has_what_is_named(tmp_path)
    there = {"node_modules/opcua": {"version": "2.1.0"}, "node_modules/schema": {"version": "11.6.0"}}
    list_.write_text(json.dumps({"packages": there}))
    assert has_what_is_named(tmp_path)
    list_.write_text(list_.read_text()[:-9])
    assert not has_what_is_named(tmp_path)
    list_.write_text(json.dumps({"packages": there}))
    names(opcua="2.1.1", schema="npm:@grafana/schema@11.6.0")
    assert not has_what_is_named(tmp_path)
    names(opcua="2.1.0", another="1.0.0")
    assert not has_what_is_named(tmp_path)
