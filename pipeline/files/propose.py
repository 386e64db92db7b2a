"""What an unknown file probably says, for its owner to confirm: a mapping, with how sure each part of it is, and why.

A proposal is never used unseen where it is not sure: whoever runs it shows `guesses` and `words`, and what is unsure.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pipeline.files import eventlog, guard, shdr, tables, times
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.files.recognise import Column, bits_of, column_of, is_bit, lengths_of, roles
from pipeline.files.vocabulary import HEADINGS, Role, likeness, plain, state_for
from pipeline.said import Said
from telemetry.dialects import Dialect
from telemetry.plant import Asset, StateName

SURE: Final = 0.8
"""A guess below this [0…1] is to be confirmed by somebody who knows the machine."""
Roles = dict[Role, tuple[Column, float]]
_WORDS_READ: Final = 2_000_000
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
class Word:
    """A word for a state: how often it is in the sample, what it probably means (None: not known), how sure that is."""

    word: str
    times: int
    state: StateName | None
    confidence: float


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

    @property
    def unsure(self) -> tuple[Guess, ...]:
        """What somebody should confirm."""
        return tuple(guess for guess in self.guesses if not guess.sure)


def propose(path: Path, *, timezone: str = "Europe/Paris", largest: int = guard.LARGEST_BYTES) -> Proposal:
    """Look at a file and propose its mapping; `timezone` is of times without an offset. Raises DecodeError for a file
    that is not opened (RefusedFileError), or in which no column is a time."""
    kind = guard.checked(path, largest=largest)
    machine = Asset(path=f"site/{_slug(path.stem)}", name=path.stem[:80])
    if eventlog.is_shdr(path, kind):
        return _shdr(path, timezone, machine)
    table = eventlog.opened(path, largest=largest)
    columns = [column_of(name, [row[at] for row in table.sample]) for at, name in enumerate(table.columns)]
    lengths = lengths_of(columns)
    chosen = roles([column for column in columns if column.name not in lengths])
    guesses = [
        Guess(role, column.name, confidence, _WHY[column.kind])
        for role, (column, confidence) in chosen.items()
        if role != "machine"
    ]
    said: dict[str, Any] = {"timezone": timezone, "machine": machine} | _bits(columns, chosen, guesses)
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
        words = _words(table, chosen, said, guesses)
    _one_counter(said, guesses)
    said |= _times(table, said, guesses)
    mapping = EventLogConfig(**said)
    notes = [*table.notes, *_machines_note(chosen)]
    return Proposal(table.layout, tuple(columns), mapping, tuple(guesses), words, tuple(notes), table.sample[:4])


def words_in(path: Path, mapping: EventLogConfig, *, largest: int = guard.LARGEST_BYTES) -> tuple[Word, ...]:
    """The words of the column of states of a mapping, and what they probably mean. Raises DecodeError as `propose`."""
    table = eventlog.opened(path, mapping, largest=largest)
    column, dialect = (
        table.require(mapping.columns.get("state", "state"), Said(" for the state", " pour l'état")),
        mapping.dialect or "words",
    )
    with tables.readable(path):
        counts = _counted(table, column, None, "")
    return tuple(Word(word, number, *state_for(word, dialect)) for word, number in counts.most_common(200))


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
    marks = {
        mark for column in counters for row in table.sample for mark in _marks(row[table.columns.index(column.name)])
    }
    if marks == {","} and table.layout.separator != ",":
        said["decimal"] = ","
        guesses.append(Guess("decimal", ",", 0.9, Said("commas in its numbers", "des virgules dans ses nombres")))
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


def _marks(cell: str) -> set[str]:
    return {sign for sign in cell if sign in ".,"}


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


def _words(table: tables.Table, chosen: Roles, said: dict[str, Any], guesses: list[Guess]) -> tuple[Word, ...]:
    """The file's words for states, over all its rows, and the dialect that knows most of them."""
    if "bits" in said or "lengths" in said:
        return ()
    if "state" in chosen:
        counts = _counted(table, chosen["state"][0].name, None, "")
    elif "name" in chosen:
        names = _counted(table, chosen["name"][0].name, None, "")
        at, value = (table.columns.index(chosen[role][0].name) for role in ("name", "value"))
        told = [column_of(name, [row[value] for row in table.sample if row[at] == name]) for name in names]
        if len(of_bits := bits_of([column.name for column in told if is_bit(column)])) > 1:
            said["columns"] = _named(Counter({name: n for name, n in names.items() if name not in of_bits}))
            said["columns"].pop("state", None)
            said |= _of_bits(of_bits, guesses)
            return ()
        said["columns"] = _named(names)
        state = said["columns"]["state"]
        guesses.append(Guess("state", state, max(0.3, likeness(state, "state")), Said(
            "the name most like a state", "le nom qui ressemble le plus à un état"
        )))  # fmt: skip
        counts = _counted(table, chosen["value"][0].name, chosen["name"][0].name, state)
    else:
        return ()
    dialect = max(_DIALECTS, key=lambda one: (sum(n for word, n in counts.items() if state_for(word, one)[1] == 1.0),
                                              -_DIALECTS.index(one)))  # fmt: skip
    if dialect != "words":
        said["dialect"] = dialect
        guesses.append(Guess("dialect", dialect, 0.8, Said("its words for states", "ses mots pour les états")))
    words = []
    own: dict[str, StateName] = {}
    binary = _binary(counts) if dialect == "words" else {}
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


def _named(names: Counter[str]) -> dict[str, str]:
    """Of a long table: which name says which metric; each says one."""
    marks = sorted(
        ((likeness(name, metric), times, metric, name)
         for name, times in names.items() for metric in get_args(Metric) if metric in HEADINGS),
        reverse=True,
    )  # fmt: skip
    found: dict[str, str] = {}
    for mark, _, metric, name in marks:
        if mark >= 0.6 and metric not in found and name not in found.values():
            found[metric] = name
    found.setdefault("state", max(names, key=lambda one: names[one], default=""))
    return found


def _binary(counts: Counter[str]) -> dict[str, tuple[StateName | None, float]]:
    """A bit: 1 is running."""
    if not {word.lower().removesuffix(".0") for word in counts} <= {"0", "1", "true", "false", "vrai", "faux"}:
        return {}
    return {
        word: ("EXECUTING" if word.lower().removesuffix(".0") in ("1", "true", "vrai") else "NOT_EXECUTING", 0.7)
        for word in counts
    }


def _counted(table: tables.Table, column: str, where: str | None, equals: str) -> Counter[str]:
    """How often each word is in a column, over the first rows of the file (all, unless it is very long)."""
    pl = tables.polars()
    counts: Counter[str] = Counter()
    rows = 0
    for batch in table.read([column] if where is None else [column, where]):
        cells = batch.frame[column] if where is None else batch.frame.filter(pl.col(where) == equals)[column]
        text = cells.cast(pl.String).str.strip_chars().drop_nulls()
        found = text.filter(text != "").value_counts()
        for word, number in found.iter_rows():
            if word in counts or len(counts) < 1000:
                counts[word[:200]] += number
        rows += batch.frame.height
        if rows >= _WORDS_READ:
            break
    return counts


def _times(table: tables.Table, said: dict[str, Any], guesses: list[Guess]) -> dict[str, Any]:
    """How times are written, and their zone, where a heading or the table tells."""
    at = table.columns.index(said["time"])
    heading = f" {plain(said['time'])} {plain(said.get('clock') or '')} "
    found: dict[str, Any] = {}
    if " utc " in heading or " gmt " in heading:
        found["timezone"] = "UTC"
        guesses.append(Guess("timezone", "UTC", 0.9, Said("a heading says UTC", "un titre dit UTC")))
    cells = [row[at] for row in table.sample]
    if " utc time " in heading and "clock" in said and all("/" in cell for cell in cells if cell):
        found["time_format"] = "%m/%d/%Y %H:%M:%S"
        why = Said("a data log of a SIMATIC S7: month first", "un journal (DataLog) de SIMATIC S7 : le mois d'abord")
        guesses.append(Guess("time_format", found["time_format"], 0.9, why))
        return found
    reader = times.TimeReader.of(cells, None, found.get("timezone", said["timezone"]))
    if reader.ambiguous_order:
        [why] = reader.notes()
        guesses.append(Guess("time_format", reader.form, 0.6, why))
    if not reader.zoned and "timezone" not in found:
        why = Said("its times have no offset", "ses heures n'ont pas de décalage horaire")
        guesses.append(Guess("timezone", said["timezone"] or "", 0.8, why))
    return found


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
