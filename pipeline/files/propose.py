"""What an unknown file probably says, for its owner to confirm: a mapping, with how sure each part of it is, and why.

A proposal is never used unseen where it is not sure: whoever runs it shows `guesses` and `words`, and what is unsure.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from pipeline.files import eventlog, guard, meanings, shdr, tables, text, times
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.files.meanings import Word, counted, most_made, named
from pipeline.files.recognise import Column, bits_of, column_of, is_bit, lengths_of, no_time, roles
from pipeline.files.vocabulary import Role, likeness, plain, state_for
from pipeline.said import Said
from telemetry.dialects import Dialect
from telemetry.plant import Asset, StateName

LAYOUT: Final = ("sheet", "header_lines", "separator", "encoding")
"""What a mapping says of how a table is written, before any of its columns is known."""
SURE: Final = 0.8
"""A guess below this [0…1] is to be confirmed by somebody who knows the machine."""
Roles = dict[Role, tuple[Column, float]]
_DIALECTS: Final[tuple[Dialect, ...]] = get_args(Dialect)


@dataclass(frozen=True, slots=True)
class Guess:
    """One decision: `field` of the mapping, its value, how sure it is [0…1], and what for."""

    field: str
    value: str
    confidence: float
    why: Said

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was recognised of a file. `mapping` is complete enough to be read, whatever is still unsure."""

    layout: tables.Layout
    columns: tuple[Column, ...]
    mapping: EventLogConfig
    guesses: tuple[Guess, ...]
    words: tuple[Word, ...]
    notes: tuple[Said, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    """The first rows, to be looked at."""
    products: tuple[str, ...] = ()
    """Words of the column of products, the most frequent of them."""
    names: tuple[str, ...] = ()
    """Of a long table: what its rows are about, in its first rows."""
    form: str = ""
    """How times are written, as `time_format` says it."""
    forms: Mapping[times.Order, str] = field(default_factory=dict)
    """How they may be written as well, by what comes first in a date."""
    lacking: Said | None = None
    """What a file lacks in which no column is a time, so that it cannot be read by `mapping`."""

    @property
    def unsure(self) -> tuple[Guess, ...]:
        """What somebody should confirm."""
        return tuple(guess for guess in self.guesses if not guess.sure)


def propose(
    path: Path, *, timezone: str = "Europe/Paris", largest: int = guard.LARGEST_BYTES,
    layout: EventLogConfig | None = None,
) -> Proposal:  # fmt: skip
    """Look at a file and propose its mapping; `timezone` is of times without an offset, `layout` says what is known of
    sheet, heading, separator and encoding. Raises DecodeError for a file that is not opened (RefusedFileError)."""
    kind = guard.checked(path, largest=largest)
    machine = Asset(path=f"site/{_slug(path.stem)}", name=path.stem[:80])
    if eventlog.is_shdr(path, kind):
        return _shdr(path, timezone, machine)
    told = {key: value for key in LAYOUT if layout is not None and (value := getattr(layout, key)) is not None}
    table = eventlog.opened(path, layout, largest=largest)
    columns = [column_of(name, [row[at] for row in table.sample]) for at, name in enumerate(table.columns)]
    lengths = lengths_of(columns)
    chosen = roles([column for column in columns if column.name not in lengths])
    guesses = [
        Guess(role, column.name, confidence, _WHY[column.kind])
        for role, (column, confidence) in chosen.items()
        if role != "machine"
    ]
    lacking = None if "time" in chosen else no_time(columns)
    if lacking is not None:
        guesses.append(Guess("time", "", 0.0, lacking))
    guesses += _written(path, table.layout, told)
    said: dict[str, Any] = {"timezone": timezone, "machine": machine} | told | _bits(columns, chosen, guesses)
    for role, (column, _) in chosen.items():
        if role in ("time", "clock", "end", "duration", "name", "value"):
            said[role] = column.name
    metrics: tuple[Metric, ...] = get_args(Metric)
    said["columns"] = {metric: chosen[metric][0].name for metric in metrics if metric in chosen}
    if lengths and "duration" in chosen:
        said |= _sums(machine, lengths, chosen, guesses)
    said |= _several(chosen, guesses)
    said |= _counting(chosen, table, guesses)
    said |= _stretches(chosen, said, guesses)
    with tables.readable(path):
        words, products = _words(table, chosen, said, guesses)
    _one_counter(said, guesses)
    form, forms = _times(table, said, guesses) if lacking is None else ("", times.forms_of(()))
    notes = [*table.notes, *_machines_note(chosen)]
    names = dict.fromkeys(row[table.columns.index(chosen["name"][0].name)] for row in table.sample) if (
        "name" in chosen) else ()  # fmt: skip
    return Proposal(
        table.layout, tuple(columns), EventLogConfig(**said), tuple(guesses), words, tuple(notes), table.sample[:4],
        products, tuple(names)[:200], form, forms, lacking,
    )  # fmt: skip


def _written(path: Path, layout: tables.Layout, told: Mapping[str, object]) -> list[Guess]:
    """How sure encoding and sheet are, where nobody said them."""
    found = []
    if layout.encoding and "encoding" not in told:
        sure = text.encoding_sure(path, layout.encoding)
        why = Said("its letters make sense in it", "ses lettres y ont un sens") if sure else Said(
            "of the encodings that have no mark, the one that makes the most letters of French",
            "de ceux qui ne se signalent pas, celui qui donne le plus de lettres françaises",
        )  # fmt: skip
        found.append(Guess("encoding", layout.encoding, 0.9 if sure else 0.6, why))
    if len(layout.sheets) > 1 and "sheet" not in told:
        why = Said("the first with rows, of several", "la première de plusieurs qui a des lignes")
        found.append(Guess("sheet", layout.sheet, 0.7, why))
    return found


def _shdr(path: Path, timezone: str, machine: Asset) -> Proposal:
    mapping = EventLogConfig(timezone=timezone, machine=machine)
    with path.open(encoding="utf-8", errors="replace") as file:
        start = [line for _, line in zip(range(200), file, strict=False)]
    names = sorted({name for line in start for name in line.rstrip("\n").split("|")[1::2]})
    items = shdr.read(start, names).items
    columns = tuple(
        column_of(name, [item.value for item in items if item.name == name]) for name in names if name
    )  # fmt: skip
    why = Said("an adapter's stream (MTConnect SHDR)", "un flux d'adaptateur (MTConnect SHDR)")
    guess = Guess("dialect", "mtconnect", 1.0, why)
    return Proposal(tables.Layout("text", "utf-8", "|"), columns, mapping, (guess,), (), ())


def _slug(name: str) -> str:
    return plain(name).replace(" ", "-")[:60].strip("-") or "machine"


def _counting(chosen: Roles, table: tables.Table, guesses: list[Guess]) -> dict[str, Any]:
    """Whether counters run on or start again with every row, and the decimal mark."""
    counters = [chosen[role][0] for role in ("parts", "parts_good", "parts_scrap") if role in chosen]
    rows = table.sample
    if "machine" in chosen:  # counters of several machines rise and fall together, though each only grows
        at = table.columns.index(chosen["machine"][0].name)
        most = Counter(row[at] for row in rows).most_common(1)[0][0]
        of_one = [[row[table.columns.index(one.name)] for row in rows if row[at] == most] for one in counters]
        counters = [column_of(one.name, cells) for one, cells in zip(counters, of_one, strict=True)]
    said: dict[str, Any] = {}
    if counters:
        rising = [column.rising for column in counters if column.distinct > 1]
        total = bool(rising) and all(rising[:1])
        said["counts"] = "total" if total else "since_last"
        why = Said("its numbers only grow", "ses nombres ne font que croître") if total else Said(
            "its numbers rise and fall: parts of each row", "ses nombres montent et descendent : pièces par ligne"
        )  # fmt: skip
        guesses.append(Guess("counts", said["counts"], 0.9 if rising else 0.5, why))
    cells = [row[table.columns.index(column.name)] for column in counters for row in table.sample]
    marks = {sign for cell in cells for sign in cell if sign in ".,"}
    if marks == {","} and table.layout.separator != ",":
        said["decimal"] = ","
        threes = all(re.search(r",\d{3}$", cell) for cell in cells if "," in cell)
        why = Said(
            "commas in its numbers, always before three figures: are they of thousands?",
            "des virgules dans ses nombres, toujours devant trois chiffres : séparent-elles des milliers ?",
        ) if threes else Said("commas in its numbers", "des virgules dans ses nombres")  # fmt: skip
        guesses.append(Guess("decimal", ",", 0.6 if threes else 0.9, why))
    return said


def _one_counter(said: dict[str, Any], guesses: list[Guess]) -> None:
    """A file with one counter says nothing of scrap: TRS is then known only if every part is taken for good."""
    counted = [metric for metric in ("parts", "parts_good") if metric in said["columns"]]
    if len(counted) == 1 and "parts_scrap" not in said["columns"]:
        column = said["columns"][counted[0]]
        said["columns"] = said["columns"] | {"parts": column, "parts_good": column}
        guesses.append(Guess("parts_good", column, 0.5, Said(
            "no column tells of scrap: every part is taken for good, TRS is an upper bound",
            "aucune colonne ne parle de rebuts : toute pièce est prise pour bonne, le TRS est un majorant",
        )))  # fmt: skip


def _stretches(chosen: Roles, said: dict[str, Any], guesses: list[Guess]) -> dict[str, Any]:
    """Lists of stops: rows with an end or a length; without a state column each row is a stop, and between them it
    runs."""
    found: dict[str, Any] = {}
    if "duration" in chosen and "end" not in chosen:
        heading = plain(chosen["duration"][0].name)
        unit = next(
            (unit for unit, stems in (("s", ("sec", " s")), ("h", ("heure", "hour", " h"))) if heading.endswith(stems)),
            "min",
        )
        found["duration_unit"] = unit
        told = heading.endswith(("min", "mn", "minutes", "sec", "secondes", "seconds", "heures", "hours", " s", " h"))
        why = Said("the unit of a bare number", "l'unité d'un nombre sans unité")
        guesses.append(Guess("duration_unit", unit, 0.9 if told else 0.5, why))
    if "lengths" in said:
        return found
    if ("end" in chosen or "duration" in chosen) and "state" not in chosen and "name" not in chosen:
        found |= {"each": "NOT_EXECUTING", "between": "EXECUTING"}
        why = Said(
            "rows have an end but no state: a list of stops, the machine runs in between",
            "les lignes ont une fin mais pas d'état : une liste d'arrêts, la machine tourne entre eux",
        )
        guesses.append(Guess("each", "NOT_EXECUTING", 0.6, why))
    return found


def _sums(machine: Asset, lengths: dict[str, StateName], chosen: Roles, guesses: list[Guess]) -> dict[str, Any]:
    """Rows that sum up a shift."""
    for role in ("state", "reason"):
        chosen.pop(role, None)
    told = ", ".join(f"{name} → {state}" for name, state in lengths.items())
    guesses.append(Guess("lengths", told, 0.7, Said(
        "each row sums up a shift: how long it was, how long each kind of stop took",
        "chaque ligne résume un poste : sa durée, celle de chaque type d'arrêt",
    )))  # fmt: skip
    # between two shifts nobody asks for it
    machine = machine.model_copy(update={"state_categories": {"NOT_AVAILABLE": "planned"}})
    return {"lengths": lengths, "between": "NOT_AVAILABLE", "machine": machine}


def _words(
    table: tables.Table, chosen: Roles, said: dict[str, Any], guesses: list[Guess]
) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    """The file's words for states, over all its rows, and its products."""
    wide = "state" in chosen and not said.keys() & {"bits", "lengths"}
    if not wide and "name" in chosen and not said.keys() & {"bits", "lengths"}:
        counts, products = _of_long(table, chosen, said, guesses)
        return _meant(counts, said, guesses), products
    asked = [chosen["state"][0].name] if wide else []
    asked += [chosen["product"][0].name] if "product" in chosen else []
    told = counted(table, asked) if asked else []
    words = _meant(told[0], said, guesses) if wide else ()
    return words, most_made(told[-1]) if "product" in chosen else ()


def _of_long(
    table: tables.Table, chosen: Roles, said: dict[str, Any], guesses: list[Guess]
) -> tuple[Counter[str], tuple[str, ...]]:
    """How often each word for a state is in a long table, and its products."""
    name, value = (chosen[role][0].name for role in ("name", "value"))
    [names] = counted(table, [name])
    at, cell = table.columns.index(name), table.columns.index(value)
    told = [column_of(one, [row[cell] for row in table.sample if row[at] == one]) for one in names]
    if len(of_bits := bits_of([column.name for column in told if is_bit(column)])) > 1:
        said["columns"] = named(Counter({one: times for one, times in names.items() if one not in of_bits}))
        said["columns"].pop("state", None)
        said |= _of_bits(of_bits, guesses)
        return Counter(), ()
    said["columns"] = named(names)
    state = said["columns"]["state"]
    guesses.append(Guess("state", state, max(0.3, likeness(state, "state")), Said(
        "the name most like a state", "le nom qui ressemble le plus à un état"
    )))  # fmt: skip
    [counts] = counted(table, [value], {name: state})
    product = said["columns"].get("product")
    return counts, most_made(*counted(table, [value], {name: product})) if product else ()


def _meant(counts: Counter[str], said: dict[str, Any], guesses: list[Guess]) -> tuple[Word, ...]:
    """What words for states probably mean, and the dialect that knows most of them."""
    dialect = max(_DIALECTS, key=lambda one: (sum(n for word, n in counts.items() if state_for(word, one)[1] == 1.0),
                                              -_DIALECTS.index(one)))  # fmt: skip
    if dialect != "words":
        said["dialect"] = dialect
        guesses.append(Guess("dialect", dialect, 0.8, Said("its words for states", "ses mots pour les états")))
    words = []
    own: dict[str, StateName] = {}
    binary = meanings.binary(counts) if dialect == "words" else {}
    for word, number in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:200]:
        state_name, confidence = binary.get(word) or state_for(word, dialect)
        if word.isdigit() and word not in binary and dialect == "words":
            confidence = 0.4  # every maker numbers states as it likes
        words.append(Word(word, number, state_name, confidence))
        if state_name is not None and confidence < 1.0:
            own[word] = state_name
    if own:
        said["states"] = own
    return tuple(words)


def _times(table: tables.Table, said: dict[str, Any], guesses: list[Guess]) -> tuple[str, Mapping[times.Order, str]]:
    """How times are written and may be written as well; says so, and their zone, where a heading or the table tells."""
    at = table.columns.index(said["time"])
    heading = f" {plain(said['time'])} {plain(said.get('clock') or '')} "
    cells = [row[at] for row in table.sample]
    forms = times.forms_of(cells)
    told = " utc " in heading or " gmt " in heading
    if told:
        said["timezone"] = "UTC"
        guesses.append(Guess("timezone", "UTC", 0.9, Said("a heading says UTC", "un titre dit UTC")))
    if " utc time " in heading and "clock" in said and all("/" in cell for cell in cells if cell):
        said["time_format"] = "%m/%d/%Y %H:%M:%S"
        why = Said("a data log of a SIMATIC S7: month first", "un journal (DataLog) de SIMATIC S7 : le mois d'abord")
        guesses.append(Guess("time_format", said["time_format"], 0.9, why))
        return said["time_format"], forms
    reader = times.TimeReader.of(cells, None, said["timezone"])
    if reader.ambiguous_order:
        [why] = reader.notes()
        guesses.append(Guess("time_format", reader.form, 0.6, why))
    elif times.order_of(reader.form) is not None:
        why = Said("its first dates can only be read so", "ses premières dates ne se lisent qu'ainsi")
        guesses.append(Guess("time_format", reader.form, 0.95, why))
    if not reader.zoned and not told:
        why = Said("its times have no offset", "ses heures n'ont pas de décalage horaire")
        guesses.append(Guess("timezone", said["timezone"] or "", 0.8, why))
    return reader.form, forms


def _several(chosen: Roles, guesses: list[Guess]) -> dict[str, Any]:
    """The column that tells several machines apart."""
    if "machine" not in chosen or chosen["machine"][0].distinct < 2:
        return {}
    column, likely = chosen["machine"]
    why = Said("it names several machines, each is looked at", "elle nomme plusieurs machines, chacune est étudiée")
    guesses.append(Guess("machines", column.name, min(0.9, likely), why))
    return {"machines": column.name}


def _machines_note(chosen: Roles) -> Sequence[Said]:
    if "machine" not in chosen or chosen["machine"][0].distinct < 2:
        return ()
    name = chosen["machine"][0].name
    return (Said(
        f"column {name!r} names several machines: the report has a part for each; `only` chooses one",
        f"la colonne « {name} » nomme plusieurs machines : le rapport a une partie pour chacune",
    ),)  # fmt: skip


def _bits(columns: Sequence[Column], chosen: Roles, guesses: list[Guess]) -> dict[str, Any]:
    """States from bits, where no column of words says them: the role "state" is given up then."""
    if "name" in chosen or "end" in chosen or ("state" in chosen and not is_bit(chosen["state"][0])):
        return {}
    taken = {column.name for role, (column, _) in chosen.items() if role != "state"}
    free = [column.name for column in columns if is_bit(column) and column.name not in taken]
    if len(bits_of(free)) < 2:
        return {}
    chosen.pop("state", None)
    return _of_bits(bits_of(free), guesses)


def _of_bits(found: dict[str, StateName], guesses: list[Guess]) -> dict[str, Any]:
    guesses[:] = [guess for guess in guesses if guess.field != "state"]
    told = ", ".join(f"{name} → {state}" for name, state in found.items())
    guesses.append(Guess("bits", told, 0.7, Said(
        "columns of 0 and 1 named like states; the first that is 1 wins",
        "des colonnes de 0 et de 1 nommées comme des états ; la première à 1 l'emporte",
    )))  # fmt: skip
    return {"bits": found}


_WHY: Final[dict[str, Said]] = {
    "time": Said("its cells are instants", "ses cellules sont des instants"),
    "word": Said("its heading, and few different words", "son titre, et peu de mots différents"),
    "number": Said("its heading, and its cells are numbers", "son titre, et ses cellules sont des nombres"),
    "empty": Said("its heading", "son titre"),
}
