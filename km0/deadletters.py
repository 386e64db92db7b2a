"""`km0 deadletters`: messages that were set aside: look at them, put them through again, drop them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from km0.console import add_row, out, plain
from km0.plantfile import PlantFile
from pipeline.ingest.dead_letters import DeadLetter, DeadLetters
from telemetry.config import load
from telemetry.errors import ConfigError
from telemetry.health import Health
from telemetry.samples import Sample
from telemetry.validity import Gate

app = typer.Typer(help="Messages that nobody could read: look, put through again, drop.", no_args_is_help=True)

_PAGE = 500

PlantArgument = Annotated[Path, typer.Option("--plant", help="The plant file, which names the spool.")]
Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter (of --source, if given).")]
Source = Annotated[str, typer.Option(help='Only those whose source begins so: a collector\'s name, "name:topic".')]
DEFAULT = Path("plant.toml")


@app.command("list")
def list_(
    plant: PlantArgument = DEFAULT,
    source: Source = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout, for programs.")] = False,
) -> None:
    """List dead letters, newest first, with their reasons."""
    letters = _letters(load(plant, PlantFile))
    shown = [letter for letter, _ in zip(_matching(letters, source), range(limit), strict=False)]
    if as_json:
        out.print_json(json.dumps([_row(letter) for letter in shown]))
        return
    table = Table("number", "at (UTC)", "source", "reason")
    for letter in shown:
        add_row(table, str(letter.id), _at(letter), letter.source, letter.reason)
    out.print(table)
    out.print(f"{letters.count()} dead letters in all", markup=False)


@app.command()
def show(number: Annotated[int, typer.Argument(help="Its number.")], plant: PlantArgument = DEFAULT) -> None:
    """Show one dead letter whole: source, time, reason, and its bytes."""
    letter = _one(_letters(load(plant, PlantFile)), number)
    out.print(f"number  {letter.id}\nat      {_at(letter)} UTC\nsource  {plain(letter.source)}", markup=False)
    out.print(f"reason  {plain(letter.reason)}\nbytes   {len(letter.raw)}\n", markup=False)
    try:
        out.print(plain(letter.raw.decode(), keep="\n\t"), markup=False)
    except UnicodeDecodeError:
        for start in range(0, len(letter.raw), 16):
            part = letter.raw[start : start + 16]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
            out.print(f"{start:06x}  {part.hex(' '):<47}  {text}", markup=False)


@app.command()
def replay(numbers: Numbers = None, all_: All = False, source: Source = "", plant: PlantArgument = DEFAULT) -> None:
    """Read dead letters again by the plant file of today; those that are read now go to the store and are dropped.

    A letter of which only a part can be read stays. What was put before is put again, which changes nothing.
    """
    file = load(plant, PlantFile)
    letters = _letters(file)
    again = _Again(file)
    replayed, samples, reasons = 0, 0, dict[str, int]()
    for letter in list(_chosen(letters, numbers or [], all_, source)):
        found, refusals = again.read(letter)
        if refusals:
            reason = "; ".join(refusals)
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            letters.replay(letter.id, found)
            replayed, samples = replayed + 1, samples + len(found)
    out.print(f"{replayed} dead letters put through again: {samples} samples", markup=False)
    for reason, count in reasons.items():
        out.print(f"{count} stay: {plain(reason)}", markup=False)


@app.command()
def drop(numbers: Numbers = None, all_: All = False, source: Source = "", plant: PlantArgument = DEFAULT) -> None:
    """Drop dead letters for ever."""
    letters = _letters(load(plant, PlantFile))
    chosen = [letter.id for letter in _chosen(letters, numbers or [], all_, source)]
    out.print(f"{letters.remove(chosen)} dead letters dropped", markup=False)


class _Again:
    """Reads dead letters by the collectors of a plant file, each built when a letter first asks for it."""

    def __init__(self, file: PlantFile) -> None:
        self._plant = file.plant
        self._gate = Gate(file.plant)
        self._sections = {section.name: section for section in file.collectors}
        self._built: dict[str, Any] = {}

    def read(self, letter: DeadLetter) -> tuple[list[Sample], list[str]]:
        """Its samples, and reasons why it stays."""
        sample = letter.sample()
        if sample is not None:
            refusal = self._gate.refusal(sample)
            return ([], [refusal]) if refusal else ([sample], [])
        name, _, topic = letter.source.partition(":")
        section = self._sections.get(name)
        if section is None or section.kind != "mqtt":
            return [], [f"only messages of an MQTT collector of this plant file can be read again, not of {name!r}"]
        if name not in self._built:
            self._built[name] = section.build(self._plant, Health())
        found: tuple[list[Sample], list[str]] = self._built[name].again(topic, letter.raw, letter.at_ns)
        return found


def _letters(file: PlantFile) -> DeadLetters:
    return DeadLetters(file.spool.path)


def _matching(letters: DeadLetters, source: str) -> Iterator[DeadLetter]:
    before: int | None = None
    while page := letters.list(_PAGE, before):
        yield from (letter for letter in page if letter.source.startswith(source))
        before = page[-1].id


def _chosen(letters: DeadLetters, numbers: list[int], all_: bool, source: str) -> Iterator[DeadLetter]:
    if bool(numbers) == (all_ or bool(source)):
        raise ConfigError("which dead letters? Give their numbers, or --all, or --source NAME")
    if numbers:
        yield from (_one(letters, number) for number in numbers)
    else:
        yield from _matching(letters, source)


def _one(letters: DeadLetters, number: int) -> DeadLetter:
    letter = letters.get(number)
    if letter is None:
        raise ConfigError(f"there is no dead letter {number}; `km0 deadletters list` shows those there are")
    return letter


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "number": letter.id,
        "at_ns": letter.at_ns,
        "source": letter.source,
        "reason": letter.reason,
        "raw": letter.raw.decode("utf-8", "backslashreplace"),
    }


def _at(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
