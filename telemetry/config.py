"""Configuration: frozen, strict sections read from one TOML file; a wrong key stops the start with its line.

Sections are validated as JSON in pydantic's strict mode: TOML's lists fill tuples and its dates stay dates, but no
"1" becomes a 1. Secrets are named, never written: `{ env = "NAME" }` or `{ file = "path" }`.
"""

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from telemetry.errors import ConfigError

_UTF8: Final = "utf-8-sig"
"""With or without the mark that Windows' editor writes in front."""


class Section(BaseModel):
    """Parent of every table of the plant file: unknown keys are errors, values keep their type, nothing changes.

    `inf` and `nan`, which TOML knows, are no numbers here: "never" as an infinite time would end the process later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Secret(Section):
    """Where a secret is kept: the name of an environment variable, or a file. Never the secret itself."""

    env: str | None = Field(None, description="name of the environment variable that holds it")
    file: Path | None = Field(None, description="file that holds it; one trailing line break is not part of it")

    @model_validator(mode="after")
    def _one_place(self) -> "Secret":
        if (self.env is None) == (self.file is None):
            raise ValueError('a secret is { env = "NAME" } or { file = "path" }, one of the two')
        return self

    def read(self) -> str:
        """The secret. Raises ConfigError when the variable is not set or the file cannot be read."""
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise ConfigError(f"the environment variable {self.env} is not set: a secret is expected in it")
            return value
        assert self.file is not None
        try:
            return self.file.read_text(encoding=_UTF8).removesuffix("\n")
        except OSError as error:
            raise ConfigError(f"the secret file {self.file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"the secret file {self.file} is not UTF-8 text: save it as UTF-8") from error


def safe(address: str) -> bool:
    """Whether nobody on the way can read or change what is exchanged with an address: HTTPS, or this machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def _minutes(value: object) -> object:
    """ "05:30" → 330; "24:00" is the end of the day."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,2}):([0-5]\d)", value)
        if found and (minutes := int(found[1]) * 60 + int(found[2])) <= 24 * 60:
            return minutes
        raise ValueError('a time of day is written "HH:MM", from "00:00" to "24:00"')
    return value


def host_name(name: str) -> str:
    """The name or address of a host, as it is. Raises ValueError when it can be none."""
    # The resolver encodes names so, and does not take what cannot be for a name that it does not know.
    try:
        name.encode("idna")
    except UnicodeError:
        raise ValueError(f"{name!r} is no name or address of a host: is there a dot too many?") from None
    return name


HostName = Annotated[str, Field(min_length=1), AfterValidator(host_name)]
"""Name or address of a host, as a resolver takes it."""

TimeOfDay = Annotated[int, BeforeValidator(_minutes, json_schema_input_type=str)]
"""Wall-clock time as minutes after midnight, written "HH:MM"."""

SectionT = TypeVar("SectionT", bound=Section)


def load(path: Path, model: type[SectionT]) -> SectionT:
    """The file as its section. Raises ConfigError that names every fault with its line and, for a key, a suggestion."""
    try:
        text = path.read_text(encoding=_UTF8)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. `km0 init` writes a plant file to start from.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return parse(text, model, str(path))


def parse(text: str, model: type[SectionT], name: str = "plant.toml") -> SectionT:
    """As `load`, from text; `name` stands for the file in messages."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not valid TOML: {error}") from error
    try:
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        lines = _line_numbers(text)
        faults = [_fault(details, data, model, lines, name) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from error


def _fault(details: ErrorDetails, data: Any, model: type[Section], lines: dict[tuple[Any, ...], int], name: str) -> str:
    place, table = _place(details["loc"], data)
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 1)
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    kind = details["type"]
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(place[-1]), _known_keys(model, table), n=1, cutoff=0.5)
        message = "unknown key" + (f"; did you mean {close[0]!r}?" if close else "")
    elif kind == "missing":
        dotted = f"{dotted}.{details['loc'][-1]}".lstrip(".")
        message = "this key is required"
    else:
        message = details["msg"].removeprefix("Value error, ")
    # what is wrong with the file as a whole has no place in it
    return f"{name}:{line}: {dotted}: {message}" if dotted else f"{name}: {message}"


def _place(location: tuple[int | str, ...], data: Any) -> tuple[tuple[int | str, ...], Any]:
    """The part of pydantic's location that exists in the file (union tags are not in it), and its innermost table."""
    place: list[int | str] = []
    table: Any = data
    for part in location:
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            place.append(part)
            table = data if isinstance(data, dict) else table
            data = data[part]
    return tuple(place), table


def _known_keys(model: type[Section], table: Any) -> list[str]:
    """The keys allowed in the section that `table` looks most like: same kind, then most keys in common."""
    schema = model.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]

    def likeness(section: dict[str, Any]) -> tuple[bool, int]:
        properties = section.get("properties", {})
        same_kind = properties.get("kind", {}).get("const") == table.get("kind", object())
        return same_kind, len(properties.keys() & table.keys())

    return list(max(sections, key=likeness).get("properties", {}))


_TABLE: Final = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def _parts(dotted: str) -> Iterator[str]:
    for part in re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", dotted):
        yield part.strip("\"'")


def _line_numbers(text: str) -> dict[tuple[Any, ...], int]:
    """Line of every table and key, by path with list indices; keys inside inline tables have their table's line."""
    found: dict[tuple[Any, ...], int] = {}
    counts: dict[tuple[Any, ...], int] = {}
    current: tuple[Any, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            current = ()
            parts = list(_parts(header[2]))
            for depth, part in enumerate(parts):
                current = (*current, part)
                if header[1] == "[[" and depth == len(parts) - 1:
                    counts[current] = counts.get(current, -1) + 1
                if current in counts:
                    found.setdefault(current, number)
                    current = (*current, counts[current])
            found.setdefault(current, number)
        elif key := _KEY.match(line):
            place = current
            for part in _parts(key[1]):
                place = (*place, part)
                found.setdefault(place, number)
    return found
