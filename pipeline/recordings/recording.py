"""One recorded measurement as columns, whatever tool wrote it down."""

import math
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.files.guard import RefusedFileError
from pipeline.said import Said

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ANSWERED: Final = 0
LOST: Final = 1
LOST_UP: Final = 2
LOST_DOWN: Final = 3

LONGEST_MS: Final = 1e12

MOST_PACKETS: Final = 50_000_000
"""More packets than this in one recording is a damaged sequence number, not a measurement."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Packets in order of sending; columns are of equal length.

    `fate`: ANSWERED, LOST (direction unknown), LOST_UP or LOST_DOWN. Delays [ms] are NaN where lost or not recorded.
    `sent_ns` [ns] is None when the file has no times of sending. `arrived`: indices of answered packets in the order in
    which their answers came. `resolution_ms` [ms]: how coarsely each round trip was written down, 0 for exactly.
    `error_ms` [ms]: what the file says of its clocks, None when nothing. `said`: the other tool's own summary.
    """

    tool: str
    fate: npt.NDArray[np.int8]
    rtt_ms: Floats
    up_ms: Floats
    down_ms: Floats
    arrived: Ints
    directions: Literal["both", "up", "down", "unknown"]
    sent_ns: Ints | None = None
    resolution_ms: Floats | None = None
    error_ms: float | None = None
    duplicates: int | None = 0
    name: str = ""
    first: int = 0
    said: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the file cannot tell, in sentences."""

    def __post_init__(self) -> None:
        for delay in (self.rtt_ms, self.up_ms, self.down_ms):
            if np.abs(delay[~np.isnan(delay)]).max(initial=0.0) > LONGEST_MS:
                raise RefusedFileError(Said(
                    "a delay in it is longer than thirty years", "un délai y dépasse trente ans"
                ))  # fmt: skip
        if (
            self.sent_ns is not None
            and self.sent_ns.size
            and int(self.sent_ns.max()) - int(self.sent_ns.min()) > 10**18
        ):
            raise RefusedFileError(Said(
                "its times lie more than thirty years apart", "ses heures s'étalent sur plus de trente ans"
            ))  # fmt: skip
        if not all(math.isfinite(figure) for figure in (*self.said.values(), self.error_ms or 0.0)):
            raise RefusedFileError(Said(
                "a figure of its summary is infinite", "un chiffre de son résumé est infini"
            ))  # fmt: skip


def unwrapped(numbers: list[int], wrap: int) -> list[int]:
    """Sequence numbers of `wrap` values, in order of arrival, as a count that goes on: each within half a turn of the
    highest before it."""
    highest = numbers[0] if numbers else 0
    found: list[int] = []
    for number in numbers:
        value = highest + (number - highest + wrap // 2) % wrap - wrap // 2
        highest = max(highest, value)
        found.append(value)
    return found


def checked_length(packets: int) -> int:
    """The number of packets, when it can be one."""
    if not 0 <= packets <= MOST_PACKETS:
        raise RefusedFileError(Said(
            f"its sequence numbers span {packets} packets: one of them is damaged",
            f"ses numéros de séquence couvrent {packets} paquets : l'un d'eux est abîmé",
        ))  # fmt: skip
    return packets
