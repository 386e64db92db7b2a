"""Text of iputils, BusyBox and BSD `ping`: one line per answer, and a summary that rounds.

iputils prints three significant figures, cut off, and its loss in whole percents, so the lines know more than the
summary: 4 of 878 lost packets are printed as 0 %.
"""

import re
from typing import Final

import numpy as np

from pipeline.files.guard import RefusedFileError
from pipeline.recordings.recording import ANSWERED, LOST, Ints, Recording, checked_length, unwrapped
from pipeline.said import Said

_ANSWER: Final = re.compile(
    r"^(?:\[(?P<at>[0-4]?\d{1,9}\.\d{1,9})\] )?\d+ bytes from .*?\b(?:icmp_)?seq=(?P<seq>\d{1,9})\b.*?"
    r"\btime(?P<sign>[=<])(?P<time>\d{1,12}(?:\.\d{1,9})?) ?ms(?P<rest>.*)$"
)
_SUMMARY: Final = re.compile(
    r"^(?P<sent>\d{1,12}) packets transmitted, (?P<received>\d{1,12})(?: packets)? received"
    r"(?:.*?(?P<loss>\d{1,3}(?:\.\d{1,9})?)% packet loss)?"
)
_TIMES: Final = re.compile(
    r"^(?:rtt|round-trip) min/avg/max(?:/(?:mdev|stddev))? = (\d{1,12}\.\d{1,9}(?:/\d{1,12}\.\d{1,9}){2,3}) ms"
)
_HEADER: Final = re.compile(r"^PING ", re.MULTILINE)
_WRAP: Final = 65_536


def recognises(text: str) -> bool:
    """Whether the text is of ping."""
    return _HEADER.search(text[:4096]) is not None or " bytes from " in text[:4096]


def read(text: str) -> list[Recording]:
    """The one measurement of the file. Raises DecodeError: two of them, or nothing in it."""
    if len(_HEADER.findall(text)) > 1:
        raise RefusedFileError(Said(
            "more than one run of ping in a file: cut it into one file each",
            "plusieurs passages de ping dans un fichier : coupez-le, un fichier par passage",
        ))  # fmt: skip
    numbers: list[int] = []
    times: list[float] = []
    resolution: list[float] = []
    stamps: list[float] = []
    duplicates = 0
    said: dict[str, float] = {}
    bsd = False
    for line in text.splitlines():
        if found := _ANSWER.match(line):
            if "DUP" in found["rest"]:
                duplicates += 1
                continue
            digits = found["time"].partition(".")[2]
            numbers.append(int(found["seq"]))
            times.append(float(found["time"]))
            resolution.append(10.0 ** -len(digits))
            stamps.append(float(found["at"] or "nan"))
        elif found := _SUMMARY.match(line):
            said |= {"sent": float(found["sent"]), "received": float(found["received"])}
            if found["loss"]:
                said["loss_ratio"] = float(found["loss"]) / 100
        elif found := _TIMES.match(line):
            bsd = line.startswith("round-trip")
            values = [float(value) for value in found[1].split("/")]
            said |= dict(zip(("rtt_min_ms", "rtt_mean_ms", "rtt_max_ms", "rtt_stddev_ms"), values, strict=False))
    if not numbers and "sent" not in said:
        raise RefusedFileError(Said(
            "it has neither an answer nor a summary of ping", "il n'a ni réponse ni résumé de ping"
        ))  # fmt: skip
    return [_recording(numbers, times, resolution, stamps, duplicates, said, zero=bsd or "icmp_seq=" not in text)]


def _recording(
    numbers: list[int],
    times: list[float],
    resolution: list[float],
    stamps: list[float],
    duplicates: int,
    said: dict[str, float],
    *,
    zero: bool,
) -> Recording:
    counted = np.array(unwrapped(numbers, _WRAP), np.int64)
    first = 0 if zero or (counted.size and counted.min() == 0) else 1
    index = counted - first
    index, kept = _first_arrivals(index)
    seen = int(index.max()) + 1 if index.size else 0
    packets = checked_length(max(seen, int(said.get("sent", 0))))
    if index.size and index.min() < 0:
        raise RefusedFileError(Said(
            "its sequence numbers go back before its start: two runs in one file?",
            "ses numéros de séquence reviennent avant son début : deux passages dans un fichier ?",
        ))  # fmt: skip
    fate = np.full(packets, LOST, np.int8)
    fate[index] = ANSWERED
    rtt, coarse = np.full(packets, np.nan), np.zeros(packets)
    rtt[index], coarse[index] = np.array(times)[kept], np.array(resolution)[kept]
    nothing = np.full(packets, np.nan)
    notes = ["ping does not tell which direction lost or delayed a packet"]
    sent_ns = _sent(np.array(stamps)[kept], rtt, index, packets)
    if sent_ns is None:
        notes.append("without `ping -D` it has no times: jitter assumes the packets were evenly sent")
    if "sent" not in said:
        notes.append("it has no summary, so whatever was lost after the last answer is not counted")
    elif packets > seen:
        notes.append(f"that the last {packets - seen} packets were sent is known from ping's summary alone")
    return Recording(
        "ping", fate, rtt, nothing, nothing, index, "unknown", sent_ns, coarse, first=first,
        duplicates=duplicates + int((~kept).sum()), said=said, notes=tuple(notes),
    )  # fmt: skip


def _first_arrivals(index: Ints) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    kept = np.zeros(index.size, bool)
    kept[np.unique(index, return_index=True)[1]] = True
    return index[kept], kept


def _sent(
    stamps: np.ndarray[tuple[int], np.dtype[np.float64]],
    rtt: np.ndarray[tuple[int], np.dtype[np.float64]],
    index: Ints,
    packets: int,
) -> Ints | None:
    """Times of sending [ns], from those of arrival and the round trips; those of lost packets lie between."""
    if stamps.size == 0 or np.isnan(stamps).any():
        return None
    order = np.argsort(index)
    sent = stamps[order] * 1e9 - rtt[index[order]] * 1e6
    return np.asarray(np.interp(np.arange(packets), index[order], sent), np.int64)
