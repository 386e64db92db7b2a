"""Text of perfSONAR's `owping -v`, `owping -R` and their two-way cousins: one line per packet and direction.

In a run of both directions, owping writes first the packets that it sent, then those sent to it. Formats: stats.c and
owping.c of perfSONAR owamp 4.
"""

import re
from typing import Final

import numpy as np

from pipeline.files.guard import RefusedFileError
from pipeline.recordings.recording import ANSWERED, LOST_DOWN, LOST_UP, Recording, checked_length
from pipeline.said import Said

_PACKET: Final = re.compile(
    r"^seq_no=(?P<seq>\d{1,10})\s+(?:(?P<lost>\*LOST\*)|.*?\bdelay=(?P<delay>[-+\d.einfa]+) (?P<unit>[num]?s)"
    r"(?:\s+\((?P<sync>sync|unsync)(?:, (?:err=|precision )(?P<err>\d[\d.e+-]{0,20}) (?P<errunit>[num]?s))?\))?"
    r"(?: sent=(?P<sent>\d{1,10}\.\d{1,9}) recv=)?)"
)
_RAW: Final = re.compile(r"^(\d{1,10}) (\d{20}) ([01]) (\S+) (\d{20}) ([01]) (\S+) (\d{1,3})$")
_STATISTICS: Final = re.compile(r"^--- owping statistics from (?P<name>\[.*?\]\S* to \[.*?\]\S*) ---")
_COUNTS: Final = re.compile(
    r"^(?P<sent>\d{1,10}) sent, (?P<lost>\d{1,10}) lost \((?P<loss>\d{1,3}\.?\d{0,9})%\), (?P<dups>\d+) duplicates"
)
_TIMES: Final = re.compile(
    r"^one-way delay min/median/max = (-?\d{1,12}\.?\d{0,9})/\S+?/(-?\d{1,12}\.?\d{0,9}) (?P<unit>[num]?s)"
)
_UNIT_MS: Final = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_NTP: Final = 2_208_988_800


def recognises(text: str) -> bool:
    """Whether the text is of owping."""
    return any(
        _PACKET.match(line) or _RAW.match(line) or _STATISTICS.match(line) for line in text[:65_536].splitlines()
    )


class _Session:
    def __init__(self) -> None:
        self.delays: dict[int, float] = {}
        self.sent: dict[int, int] = {}
        self.order: list[int] = []
        self.duplicates = 0
        self.error_ms: float | None = 0.0
        self.said: dict[str, float] = {}
        self.name = ""

    def packet(self, number: int, delay_ms: float, error_ms: float | None, sent_ns: int | None) -> None:
        if number in self.delays:
            self.duplicates += 1
            return
        self.delays[number] = delay_ms
        if sent_ns is not None:
            self.sent[number] = sent_ns
        if not np.isnan(delay_ms):
            self.order.append(number)
            worse = None if error_ms is None or self.error_ms is None else max(self.error_ms, error_ms)
            self.error_ms = worse


def read(text: str) -> list[Recording]:
    """The sessions of the file, one per direction. Raises DecodeError: summaries without the packets, or nothing."""
    sessions = [_Session()]
    for line in text.splitlines():
        current = sessions[-1]
        if found := _PACKET.match(line):
            if current.said:
                current = _Session()
                sessions.append(current)
            _verbose(current, found)
        elif found := _RAW.match(line):
            if current.delays and int(found[1]) == 0 and 0 in current.delays and len(current.delays) > 1:
                current = _Session()  # -R has no headings: the second direction starts again at 0
                sessions.append(current)
            _raw(current, found)
        elif found := _STATISTICS.match(line):
            if current.said:
                current = _Session()
                sessions.append(current)
            current.name = found["name"]
            current.said["session"] = float(len(sessions))
        elif found := _COUNTS.match(line):
            current.said |= {"sent": float(found["sent"]), "loss_ratio": float(found["loss"]) / 100}
            current.said["received"] = float(found["sent"]) - float(found["lost"])
        elif found := _TIMES.match(line):
            scale = _UNIT_MS[found["unit"]]
            current.said |= {"delay_min_ms": float(found[1]) * scale, "delay_max_ms": float(found[2]) * scale}
    if not any(session.delays for session in sessions):
        raise RefusedFileError(Said(
            "it has owping's summary but not its packets: record with `owping -v` or `owping -R`",
            "il a le résumé d'owping, mais pas ses paquets : enregistrez avec `owping -v` ou `owping -R`",
        ))  # fmt: skip
    return [_recording(session, up=number == 0) for number, session in enumerate(sessions) if session.delays]


def _verbose(session: _Session, found: re.Match[str]) -> None:
    if found["lost"]:
        session.packet(int(found["seq"]), np.nan, None, None)
        return
    known = found["sync"] == "sync" and found["err"]
    try:
        error = float(found["err"]) * _UNIT_MS[found["errunit"]] if known else None
        delay = float(found["delay"]) * _UNIT_MS[found["unit"]]
    except ValueError:
        cells = f"{found['delay']!r}, {found['err']!r}"
        raise RefusedFileError(Said(
            f"not a delay and its error: {cells}", f"ni un délai ni son erreur : {cells}"
        )) from None  # fmt: skip
    sent = int(float(found["sent"]) * 1e9) if found["sent"] else None
    session.packet(int(found["seq"]), delay, error, sent)


def _raw(session: _Session, found: re.Match[str]) -> None:
    sent, received = int(found[2]), int(found[5])
    if max(sent, received) >= 1 << 64:
        latest = max(sent, received)
        raise RefusedFileError(Said(f"not a time: {latest}", f"ce n'est pas une heure : {latest}"))
    if received == 0:
        session.packet(int(found[1]), np.nan, None, _unix_ns(sent))
        return
    both = found[3] == found[6] == "1"
    try:
        error = (float(found[4]) + float(found[7])) * 1e3 if both else None
    except ValueError:
        cells = f"{found[4]!r}, {found[7]!r}"
        raise RefusedFileError(Said(
            f"not an error estimate: {cells}", f"ce n'est pas une estimation d'erreur : {cells}"
        )) from None  # fmt: skip
    session.packet(int(found[1]), (received - sent) / 2**32 * 1e3, error, _unix_ns(sent))


def _unix_ns(ntp: int) -> int:
    return (ntp >> 32) * 10**9 + ((ntp & 0xFFFFFFFF) * 10**9 >> 32) - _NTP * 10**9


def _recording(session: _Session, *, up: bool) -> Recording:
    highest = max(session.delays)
    packets = checked_length(max(highest + 1, int(session.said.get("sent", 0))))
    delay = np.full(packets, np.nan)
    delay[list(session.delays)] = list(session.delays.values())
    fate = np.where(np.isnan(delay), LOST_UP if up else LOST_DOWN, ANSWERED).astype(np.int8)
    nothing = np.full(packets, np.nan)
    complete = len(session.sent) == packets
    sent = np.array([session.sent[number] for number in range(packets)], np.int64) if complete else None
    notes = ["it is of one direction: it has no round trips"]
    if session.error_ms is None:
        notes.append("at least one of the clocks was not synchronised: the delays are off by an unknown constant")
    session.said.pop("session", None)
    return Recording(
        "owping", fate, nothing, delay if up else nothing, nothing if up else delay, np.array(session.order, np.int64),
        "up" if up else "down", sent, error_ms=session.error_ms, duplicates=session.duplicates, name=session.name,
        said=session.said, notes=tuple(notes),
    )  # fmt: skip
