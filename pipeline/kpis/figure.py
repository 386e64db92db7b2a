"""What a row of the catalogue computes: a ratio, which may be added over windows, or an amount."""

from dataclasses import dataclass
from math import nan

from telemetry.samples import Ratio


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure that is no ratio, with the share of the window it rests on. An additive one may be summed over windows
    by `numerator` [same unit]; a percentile may not, and has numerator NaN. Its denominator is 0. `detail`: what no
    number holds, such as an encoded histogram."""

    value: float
    coverage: float
    samples: int
    numerator: float = nan
    denominator: float = 0.0
    detail: str = ""


Figure = Ratio | Amount
