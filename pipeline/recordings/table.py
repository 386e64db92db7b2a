"""Tables (CSV, `;` or tab) with a line per packet and named columns of send and receive times.

Columns are known by their names, and their unit by the ending `_ns`, `_us`, `_ms` or `_s`; without one, numbers are
times since 1970 whose size tells the unit, or ISO 8601. An empty cell is a packet that did not come.
"""

import csv
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np

from pipeline.files.guard import RefusedFileError
from pipeline.recordings.recording import ANSWERED, LOST, LOST_DOWN, LOST_UP, Floats, Recording, checked_length
from pipeline.said import Said

_NAMES: Final = {
    "sequence": ("seq", "sequence", "seqno", "seq_no", "seq_num", "packet", "id", "index"),
    "sent": ("sent", "send", "send_time", "sent_time", "time_sent", "sent_at", "tx", "tx_time", "t1", "client_send"),
    "reached": ("reached", "server_receive", "server_received", "reflector_received", "t2"),
    "returned": ("returned", "server_send", "server_sent", "reflector_sent", "t3"),
    "received": (
        "received", "receive", "recv", "receive_time", "received_time", "recv_time", "time_received", "received_at",
        "rx", "rx_time", "t4", "client_receive",
    ),
    "rtt": ("rtt", "round_trip", "round_trip_time", "latency", "delay"),
}  # fmt: skip
_UNIT_NS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_LONGEST: Final = 40
_NOTHING: Final = ("", "nan", "null", "none", "na", "lost", "-", "inf")


def _meaning(column: str) -> tuple[str, int | None] | None:
    """What a column is and its unit [ns], by its name."""
    name = column.strip().strip('"').lower().replace(" ", "_").replace("-", "_").replace("(", "").replace(")", "")
    stem, _, unit = name.rpartition("_")
    for meaning, names in _NAMES.items():
        if name in names:
            return meaning, None
        if stem in names and unit in _UNIT_NS:
            return meaning, _UNIT_NS[unit]
    return None


def _header(text: str) -> tuple[list[str], str]:
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=first.count)
    return first.split(delimiter), delimiter


def recognises(text: str) -> bool:
    """Whether the first line names the columns that are needed."""
    meanings = {found[0] for column in _header(text)[0] if (found := _meaning(column))}
    return "rtt" in meanings or {"sent", "received"} <= meanings or {"sent", "reached"} <= meanings


def read(text: str) -> list[Recording]:
    """The one measurement of the file. Raises DecodeError with the line and column that cannot be read."""
    header, delimiter = _header(text)
    columns = {found[0]: (number, found[1]) for number, column in enumerate(header) if (found := _meaning(column))}
    cells: dict[str, list[float]] = {meaning: [] for meaning in columns}
    offsets: dict[str, int] = {}
    for line, row in enumerate(csv.reader(text.lstrip().splitlines()[1:], delimiter=delimiter), 2):
        if not any(cell.strip() for cell in row):
            continue
        for meaning, (number, unit_ns) in columns.items():
            cell = row[number].strip() if number < len(row) else ""
            value = _number(cell, meaning, unit_ns, f"line {line}, column {header[number].strip()!r}", delimiter)
            if value is not None and meaning not in ("rtt", "sequence"):
                # Times since 1970 do not fit a float to the nanosecond; their distance to the first of all does.
                value -= offsets.setdefault("first", value)
            cells[meaning].append(np.nan if value is None else float(value))
    return [_recording({name: np.array(values) for name, values in cells.items()}, offsets.get("first", 0))]


def _number(cell: str, meaning: str, unit_ns: int | None, place: str, delimiter: str) -> int | None:
    """A cell [ns], or the number of a packet."""
    if cell.lower() in _NOTHING:
        return None
    value = _parsed(cell[:_LONGEST], meaning, unit_ns, place, delimiter)
    if abs(value) > 1 << 62:
        raise _wrong(place, f"{cell[:_LONGEST]!r} is too large", f"{cell[:_LONGEST]!r} est trop grand")
    return value


def _parsed(cell: str, meaning: str, unit_ns: int | None, place: str, delimiter: str) -> int:
    if delimiter == ";":
        cell = cell.replace(",", ".")
    try:
        whole, _, fraction = cell.partition(".")
        if unit_ns is None and meaning != "sequence" and not whole.lstrip("+-").isdigit():
            moment = datetime.fromisoformat(cell)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
        if meaning == "sequence":
            return int(cell)
        unit_ns = unit_ns or (_UNIT_NS["ms"] if meaning == "rtt" else _unit_of(abs(int(whole)), place))
        if whole.lstrip("+-").isdigit() and (not fraction or fraction.isdigit()):
            sign = -1 if whole.startswith("-") else 1
            return int(whole) * unit_ns + (sign * int(fraction) * unit_ns // 10 ** len(fraction) if fraction else 0)
        return round(float(cell) * unit_ns)
    except (ValueError, OverflowError):
        raise _wrong(
            place, f"{cell!r} is not a number or an ISO 8601 time", f"{cell!r} n'est ni un nombre ni une heure ISO 8601"
        ) from None


def _unit_of(value: int, place: str) -> int:
    """The unit [ns] of a time since 1970, told by its size: seconds have 10 digits, milliseconds 13 …"""
    for unit, lowest in (("ns", 10**17), ("us", 10**14), ("ms", 10**11), ("s", 10**8)):
        if value >= lowest:
            return _UNIT_NS[unit]
    raise _wrong(
        place, "the unit cannot be told; let its column's name end in _ns, _us, _ms or _s",
        "l'unité est inconnue ; terminez le nom de sa colonne par _ns, _us, _ms ou _s",
    )  # fmt: skip


def _wrong(place: str, en: str, fr: str) -> RefusedFileError:
    """What is wrong with a cell; `place` says where it is, in English."""
    where = place.replace("line", "ligne", 1).replace("column", "colonne", 1)
    return RefusedFileError(Said(f"{place}: {en}", f"{where} : {fr}"))


def _recording(cells: dict[str, Floats], first_ns: int) -> Recording:
    duplicates = None
    if "sequence" in cells:
        duplicates = _spread(cells)
    packets = len(next(iter(cells.values())))
    nothing = np.full(packets, np.nan)
    sent, reached = cells.get("sent", nothing), cells.get("reached", nothing)
    returned, received = cells.get("returned", nothing), cells.get("received", nothing)
    held = np.where(np.isnan(returned - reached), 0.0, returned - reached)
    rtt = cells["rtt"] if "rtt" in cells else received - sent - held
    rtt, up, down = rtt / 1e6, (reached - sent) / 1e6, (received - returned) / 1e6
    one_way = "rtt" not in cells and "received" not in cells
    lost = np.isnan(up) if one_way else np.isnan(rtt)
    fate = np.where(lost, LOST_UP if one_way else LOST, ANSWERED).astype(np.int8)
    if "reached" in cells and not one_way:
        fate[lost] = np.where(np.isnan(reached[lost]), LOST_UP, LOST_DOWN)
    arrival = reached if one_way else received if "received" in cells else sent + rtt * 1e6
    arrived = np.flatnonzero(~lost)
    arrived = arrived[np.argsort(arrival[arrived], kind="stable")]
    directions: Literal["both", "up", "unknown"] = "up" if one_way else "both" if "reached" in cells else "unknown"
    notes = [] if duplicates is not None else ["without sequence numbers, a packet that has no line is not missed"]
    if "reached" in cells:
        notes.append("of the clocks the table says nothing: one-way delays are as good as they were set")
    else:
        notes.append("received times are taken to be the sender's own: a round trip. It tells no direction")
    known = "sent" in cells and not np.isnan(sent).any()
    return Recording(
        "table", fate, rtt, up, down, arrived.astype(np.int64), directions,
        sent.astype(np.int64) + first_ns if known else None, duplicates=duplicates, notes=tuple(notes),
    )  # fmt: skip


def _spread(cells: dict[str, Floats]) -> int:
    """Put every packet at its number, so that one without a line is missed; how many lines repeat a number."""
    number = cells.pop("sequence")
    if number.size == 0 or np.isnan(number).any():
        raise RefusedFileError(Said(
            "a line has no sequence number, or there is no line",
            "une ligne n'a pas de numéro de séquence, ou il n'y a pas de ligne",
        ))  # fmt: skip
    kept, first = np.unique(number.astype(np.int64), return_index=True)
    packets = checked_length(int(kept[-1] - kept[0]) + 1 if kept.size else 0)
    for name, values in cells.items():
        cells[name] = np.full(packets, np.nan)
        cells[name][kept - kept[0]] = values[first]
    return int(number.size - kept.size)
