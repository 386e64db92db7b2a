"""How well this machine's clock is kept: chrony or ptp4l when they run, else what the kernel was told, else nothing.

One-way delays are differences of two clocks, so they are no better than this. Parsing is apart from running programs.
"""

import ctypes
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from collectors.probe.stamp import ErrorEstimate

AGE_S: Final = 30.0
"""How long [s] a reading is used before it is asked for again."""

_PROGRAM_S: Final = 2.0
_STA_UNSYNC: Final = 0x0040
_TIMEX_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class ClockState:
    """`error_s` [s]: how far the clock may be off from UTC; `keeper`: who says so."""

    synchronised: bool
    error_s: float
    keeper: str

    @property
    def estimate(self) -> ErrorEstimate:
        """As it is said on the wire."""
        return ErrorEstimate.of(self.error_s, synchronised=self.synchronised)


UNKNOWN: Final = ClockState(False, 1.0, "nobody")
"""A clock nobody keeps: perhaps a second off, perhaps a year."""


def read_state() -> ClockState:
    """Ask chrony, then ptp4l, then the kernel; the first that answers is believed. Takes up to four seconds: not for
    the event loop, nor for a thread that measures. pmc is ptp4l's own tool and needs its permission."""
    return (
        from_chrony(_output("chronyc", "-c", "-n", "tracking"))
        or from_ptp4l(_output("pmc", "-u", "-b", "0", "GET TIME_STATUS_NP"))
        or from_kernel()
        or UNKNOWN
    )


def from_chrony(text: str) -> ClockState | None:
    """From `chronyc -c tracking`: fourteen values, of which 5 is the offset, 11 the root delay, 12 its dispersion [s].

    |offset| + dispersion + delay / 2 is the bound that chrony states for its clock. None when it is no such text.
    """
    values = text.strip().split(",")
    if len(values) != 14:
        return None
    try:
        offset, delay, dispersion = float(values[4]), float(values[10]), float(values[11])
    except ValueError:
        return None
    if values[13] == "Not synchronised":
        return ClockState(False, 1.0, "chrony")
    return ClockState(True, abs(offset) + dispersion + delay / 2, "chrony")


def from_ptp4l(text: str) -> ClockState | None:
    """From pmc's TIME_STATUS_NP: `master_offset` [ns] while a grandmaster is present. None when it is no such text."""
    words = text.split()
    fields = dict(pairwise(words))
    try:
        offset_ns = int(fields["master_offset"])
    except (KeyError, ValueError):
        return None
    if fields.get("gmPresent") != "true":
        return ClockState(False, 1.0, "ptp4l")
    return ClockState(True, abs(offset_ns) / 1e9 + 1e-6, "ptp4l")  # a microsecond for what software timestamps add


def from_kernel() -> ClockState | None:
    """What adjtimex(2) says: NTP daemons tell the kernel the maximum error and clear STA_UNSYNC. None off Linux."""
    if sys.platform != "linux":
        return None
    # struct timex, in words: modes, offset, freq, maxerror [µs], esterror, status. With modes = 0 it only reads.
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        return None
    word = ctypes.sizeof(ctypes.c_long)
    longs = (ctypes.c_long * 6).from_buffer(buffer)
    status = ctypes.c_int.from_buffer(buffer, 5 * word).value
    if status & _STA_UNSYNC:
        return ClockState(False, 1.0, "the kernel")
    return ClockState(True, longs[3] / 1e6, "the kernel")


def _output(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=_PROGRAM_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
