"""MTConnect SHDR, the text an adapter sends: lines of `time|name|value|name|value…`.

Each connection begins with a dump of everything. Between two connections nothing was heard, so what is in force does
not reach from one to the next, nor does a counter: the growth across is nobody's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pipeline.files.guard import RefusedFileError
from pipeline.said import Said
from telemetry.samples import SECOND_NS

_MARK: Final = "--multiline--"


@dataclass(frozen=True, slots=True)
class Item:
    """One value of one data item [ns]; `connection` numbers the dumps it comes after, from 0."""

    time_ns: int
    name: str
    value: str
    connection: int


@dataclass(frozen=True, slots=True)
class Stream:
    """What was read: values in the order of the file, and when each connection was last heard of [ns]."""

    items: list[Item]
    ends_ns: list[int]


def read(lines: Iterable[str], names: Iterable[str]) -> Stream:
    """The values of these data items. Raises DecodeError with the line that has no time.

    Lines that start with `*` are commands to the agent, `@ASSET@` lines speak of tools, with text over many lines.
    """
    wanted = frozenset(names)
    stream = Stream([], [])
    for number, fields in _lines(lines):
        time_ns = _time(fields[0], number)
        pairs = [(fields[at].rpartition(":")[2], fields[at + 1]) for at in range(1, len(fields) - 1, 2)]
        # an adapter that connects first tells that the device is there
        if not stream.ends_ns or (pairs and pairs[0] == ("avail", "AVAILABLE")):
            stream.ends_ns.append(time_ns)
        connection = len(stream.ends_ns) - 1
        stream.ends_ns[connection] = max(stream.ends_ns[connection], time_ns)
        stream.items.extend(Item(time_ns, name, value.strip(), connection) for name, value in pairs if name in wanted)
    return stream


def _lines(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines with values, numbered from 1, split."""
    closing = ""
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if closing:
            closing = "" if text == closing else closing
        elif text and not text.startswith("*"):
            fields = text.split("|")
            if len(fields) > 1 and fields[1].startswith("@"):
                closing = fields[-1] if fields[-1].startswith(_MARK) else ""
            else:
                yield number, fields


def _time(text: str, line: int) -> int:
    """ISO 8601 in UTC with any number of digits behind the second, perhaps with a duration behind `@`."""
    whole, _, fraction = text.partition("@")[0].removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(f"{whole}+00:00")
        return int(moment.timestamp()) * SECOND_NS + int(f"{fraction:0<9}"[:9] or 0)
    except ValueError:
        raise RefusedFileError(Said(
            f"line {line}: {text[:40]!r} is not a time; SHDR lines begin with one, such as 2022-08-08T13:51:34.7Z",
            f"ligne {line} : « {text[:40]} » n'est pas une heure ; une ligne SHDR commence par une heure comme "
            "2022-08-08T13:51:34.7Z",
        )) from None  # fmt: skip
