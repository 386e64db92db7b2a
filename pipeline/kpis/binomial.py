"""Exact confidence bounds of a proportion (Clopper and Pearson, Biometrika 26, 1934), without scipy.

The bound is the quantile of a beta distribution; its distribution function is the regularised incomplete beta function,
by the continued fraction of Lentz (Numerical Recipes 6.4), with a log-beta that stays exact for 10¹² trials.
"""

import math
from typing import Final

_TINY: Final = 1e-300
_CLOSE: Final = 1e-15
_LARGE: Final = 1e5


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """The smallest proportion [0…1] that so few events in so many trials rule out being exceeded, one-sided."""
    _check(events, trials, confidence)
    if events == trials:
        return 1.0
    if events == 0:  # (1 − p)ⁿ = 1 − confidence
        return -math.expm1(math.log1p(-confidence) / trials)
    return _beta_quantile(confidence, events + 1, trials - events)


def lower_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """The largest proportion [0…1] that so many events in so few trials rule out falling below, one-sided."""
    _check(events, trials, confidence)
    if events == 0:
        return 0.0
    if events == trials:  # pⁿ = 1 − confidence
        return math.exp(math.log1p(-confidence) / trials)
    return _beta_quantile(1 - confidence, events, trials - events + 1)


def trials_needed(events: int, proportion: float, confidence: float = 0.95) -> int:
    """How many trials with no more than `events` show that the proportion is at most `proportion`."""
    if not 0 < proportion < 1:
        raise ValueError(f"a proportion to be shown lies between 0 and 1, exclusive: {proportion}")
    if events == 0:
        return math.ceil(math.log1p(-confidence) / math.log1p(-proportion) - 1e-9)
    low, high = events, max(2 * events, 1)
    while upper_bound(events, high, confidence) > proportion:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(events, middle, confidence) > proportion else (low, middle)
    return high


def _check(events: int, trials: int, confidence: float) -> None:
    if not 0 <= events <= trials or trials == 0 or not 0 < confidence < 1:
        raise ValueError(f"{events} events in {trials} trials with confidence {confidence}: not possible")


def _beta_quantile(share: float, a: float, b: float) -> float:
    """x such that I_x(a, b) = share, by bisection in the logarithm, to 12 figures."""
    low, high = -700.0, 0.0
    while high - low > 1e-13:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _beta_distribution(math.exp(middle), a, b) < share else (low, middle)
    return math.exp((low + high) / 2)


def _beta_distribution(x: float, a: float, b: float) -> float:
    """I_x(a, b)."""
    if x >= 1:
        return 1.0
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return result


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _log_beta(a: float, b: float) -> float:
    """log B(a, b). For large arguments lgamma's differences cancel; Stirling's series of the difference does not."""
    a, b = min(a, b), max(a, b)
    if b < _LARGE:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    total = a + b
    correction = 1 / (12 * b) - 1 / (12 * total)
    if a < _LARGE:  # log Γ(b) − log Γ(a + b)
        return math.lgamma(a) - (b - 0.5) * math.log1p(a / b) - a * math.log(total) + a + correction
    return (
        0.5 * math.log(2 * math.pi) - 0.5 * math.log(a) - a * math.log1p(b / a) - (b - 0.5) * math.log1p(a / b)
        + 1 / (12 * a) + correction
    )  # fmt: skip
