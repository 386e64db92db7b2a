"""What every `km0 discover …` ends with: a piece of plant file, written as TOML, checked, and added to a file."""

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from telemetry.config import parse
from telemetry.errors import ConfigError

PasswordEnv = Annotated[str, typer.Option(help="Environment variable that holds the password.")]
Write = Annotated[Path | None, typer.Option(help="Add what was found to this plant file, or make it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for programs.")]


def slug(text: str, otherwise: str) -> str:
    """The text as a name of collectors and assets: lower case, digits, `._-`; `otherwise` when nothing is left."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or otherwise


def toml(value: Any) -> str:
    """A value in TOML: JSON's escapes are TOML's, but for DEL; tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + "".join(f"    {toml(inner)},\n" for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def asset_lines(path: str, name: str) -> list[str]:
    """The lines of an asset."""
    return ["[[plant.assets]]", f"path = {toml(path)}", f"name = {toml(name)}", ""]


def existing(file: Path | None) -> dict[str, Any]:
    """What the plant file holds so far; nothing when there is none. Raises ConfigError when it is no TOML."""
    if file is None or not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def free(name: str, taken: set[Any]) -> str:
    """The name, or the first of NAME-2, NAME-3, … that is not taken; it is then."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found)
    return found


def add(file: Path, section: str) -> None:
    """Append to the plant file, once what would be in it was checked. Raises ConfigError."""
    from km0.plantfile import PlantFile

    before = file.read_text(encoding="utf-8") if file.exists() else ""
    text = f"{before.rstrip()}\n\n{section}" if before else section
    parse(text, PlantFile, f"{file} with what was found")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
