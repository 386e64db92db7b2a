"""Could it be chance? The few tests that the rules need, exact or in their usual normal approximation."""

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def above(z: float) -> float:
    """How likely a standard normal is above z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def trend(values: npt.ArrayLike) -> tuple[float, float]:
    """Slope per step (Theil and Sen: the median of all slopes) and its two-sided p by Mann and Kendall, without ties.

    From five values on; p is 1 with fewer.
    """
    known = np.asarray(values, np.float64)
    n = known.size
    if n < 5:
        return 0.0, 1.0
    low, high = np.triu_indices(n, 1)
    rises = known[high] - known[low]
    score = float(np.sign(rises).sum())
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return float(np.median(rises / (high - low))), 2 * above(max(0.0, abs(score) - 1) / spread)


def dispersion(counts: npt.ArrayLike, exposure: npt.ArrayLike) -> float:
    """How likely events at one constant rate would be as clustered as these: chi-squared of counts against exposure,
    by Wilson and Hilferty."""
    seen, size = np.asarray(counts, np.float64), np.asarray(exposure, np.float64)
    kept = size > 0
    seen, size = seen[kept], size[kept]
    if seen.size < 2 or seen.sum() == 0:
        return 1.0
    expected = seen.sum() * size / size.sum()
    chi2, freedom = float(((seen - expected) ** 2 / expected).sum()), seen.size - 1
    cube = (chi2 / freedom) ** (1 / 3)
    return above((cube - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)))


def more_often(hits: float, tries: float, other_hits: float, other_tries: float) -> float:
    """How likely the first share would be so much larger by chance: the pooled z test, one-sided."""
    if tries <= 0 or other_tries <= 0:
        return 1.0
    pooled = (hits + other_hits) / (tries + other_tries)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / tries + 1 / other_tries))
    return above((hits / tries - other_hits / other_tries) / spread) if spread else 1.0


def smaller(some: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """How likely some values would be so much smaller than the others by chance: Mann and Whitney, one-sided."""
    one, two = np.asarray(some, np.float64), np.asarray(others, np.float64)
    if one.size < 2 or two.size < 2:
        return 1.0
    wins = float((one[:, None] > two[None, :]).sum() + 0.5 * (one[:, None] == two[None, :]).sum())
    mean = one.size * two.size / 2
    spread = math.sqrt(one.size * two.size * (one.size + two.size + 1) / 12)
    return above((mean - wins - 0.5) / spread)
