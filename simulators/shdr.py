"""MTConnect SHDR as adapters write it: `timestamp|key|value|key|value…`, read from recorded files.

What recordings contain beside data: `@ASSET@` and other `@…@` lines whose time is that of the asset and no reading's,
multi-line values (`--multiline--TAG` until a line with that tag alone), adapter commands (`* name: value`), and empty
lines. None of that is an observation. Reference: ANSI/MTC1.4, Part 1; adapters of mtconnect/cppagent.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from simulators.recorded import instant_ns

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*Z?(?:@[\d.]+)?$")
_MULTILINE: Final = "--multiline--"


class Observation(NamedTuple):
    """One reading: what the adapter calls it (without "device:") and what it says; time [ns], UTC."""

    time_ns: int
    key: str
    value: str


def observations(lines: Iterable[str]) -> Iterator[Observation]:
    """The observations of a stream, in the order of its lines, which need not be that of time.

    Lines without a readable time are passed over: recordings begin and end in the middle of things.
    """
    waiting_for = ""
    for line in lines:
        text = line.rstrip("\r\n")
        if waiting_for:
            if text == waiting_for:
                waiting_for = ""
            continue
        start = text.find(_MULTILINE)
        if start >= 0:
            waiting_for = text[start:]
            continue
        stamp, *fields = text.split("|")
        found = _TIME.match(stamp)
        if found is None or not fields or fields[0].startswith("@"):
            continue
        try:
            time_ns = _nanoseconds(found)
        except ValueError:  # the 31st of a month of thirty days
            continue
        for key, value in zip(fields[::2], fields[1::2], strict=False):
            if key:
                yield Observation(time_ns, key.rsplit(":", 1)[-1].strip(), value.strip())


def recordings(stream: Iterable[Observation], *, back_s: float = 60.0, gap_s: float = 900.0) -> list[list[Observation]]:
    """A stream cut where time jumps back by more than `back_s` or on by more than `gap_s` [s], each part sorted.

    Adapters report their slower channels a little late, so a small step back is no new recording. The recordings are
    returned in the order of their first instants.
    """
    parts: list[list[Observation]] = []
    latest_ns = 0
    for observation in stream:
        step_s = (observation.time_ns - latest_ns) / 1e9
        if not parts or step_s < -back_s or step_s > gap_s:
            parts.append([])
            latest_ns = observation.time_ns
        parts[-1].append(observation)
        latest_ns = max(latest_ns, observation.time_ns)
    for part in parts:
        part.sort(key=lambda observation: observation.time_ns)
    return sorted(parts, key=lambda part: part[0].time_ns)


def _nanoseconds(found: re.Match[str]) -> int:
    return instant_ns(f"{found[1]}Z") + int((found[2] or "0").ljust(9, "0"))
