"""Arithmetic that is the same for a number and for a column of numbers, so that a formula is written once."""

from math import isnan
from typing import Any

import numpy as np


def divided(part: Any, whole: Any, otherwise: float) -> Any:
    """part ÷ whole, and `otherwise` where the whole is zero."""
    if isinstance(whole, np.ndarray):
        return np.divide(part, whole, out=np.full(whole.shape, otherwise), where=whole != 0)
    return otherwise if whole == 0 else part / whole


def chosen(condition: Any, value: Any, otherwise: Any) -> Any:
    """`value` where the condition holds, elsewhere `otherwise`."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, value, otherwise)
    return value if condition else otherwise


def missing(value: Any) -> Any:
    """Whether it is not a number."""
    return np.isnan(value) if isinstance(value, np.ndarray) else isnan(value)
