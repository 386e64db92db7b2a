"""Where the time of each stretch goes, as a column of small numbers: states and reasons looked up in one table."""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis import signals
from pipeline.kpis.cuts import Cuts
from pipeline.kpis.states import MAY_BE_MICRO, STOPS, Category, table
from telemetry.glossary import MachineState
from telemetry.plant import Asset
from telemetry.samples import Quality, Series
from telemetry.words import Words

Numbers8 = npt.NDArray[np.int8]
Codes8 = npt.NDArray[np.uint8]

CATEGORIES: Final = tuple(Category)
NUMBER: Final = {category: number for number, category in enumerate(CATEGORIES)}
RUNNING: Final = NUMBER[Category.RUNNING]
PLANNED: Final = NUMBER[Category.PLANNED]
BREAKDOWN: Final = NUMBER[Category.BREAKDOWN]
UNKNOWN: Final = len(CATEGORIES)
"""The number of "nobody knows", after those of the categories."""

STOPPED: Final = [NUMBER[one] for one in STOPS]
_MAY_BE_MICRO: Final = np.isin(np.arange(UNKNOWN + 1), [NUMBER[one] for one in MAY_BE_MICRO])
_NO_STATE: Final = len(MachineState)
_BEYOND: Final = np.array([_NO_STATE], float).view(np.uint64)[0]
"""As whole numbers, the bits of floats that are no state (negative, larger, not a number) are this and beyond."""

_CODES: Final = 256  # what one byte tells apart


def told(series: Series) -> Words:
    """The words of a series, "" where its source said that it does not know."""
    words = series.words
    if not signals.bad(series):
        return words
    codes = np.where(series.quality == Quality.BAD, np.int32(len(words.words)), words.codes)
    return Words(codes, (*words.words, ""))


def held(cuts: Cuts, times_ns: npt.NDArray[np.int64], words: Words) -> Words:
    """The word in force in each stretch, "" where none is."""
    return Words(cuts.held(times_ns, words.codes, len(words.words)), (*words.words, ""))


def categories(asset: Asset, cuts: Cuts, state: Series, reason: Series) -> Numbers8:
    """The category in force in each stretch: an index of CATEGORIES, or UNKNOWN. `cuts` were given both series."""
    said = told(reason)
    numbers = _numbers(said.words, tuple(asset.state_categories.items()), tuple(asset.reason_categories.items()))
    states = _states(state)
    if not len(reason) or bool((numbers == numbers[:, -1:]).all()):
        return cuts.held(state.times_ns, _looked_up(states, numbers[:, -1]), UNKNOWN)
    words, numbers = _small(said, numbers)
    wide = np.uint8(numbers.shape[1])
    if cuts.together(state.times_ns, reason.times_ns):
        states *= wide
        states += words
        return cuts.held(state.times_ns, _looked_up(states, numbers), UNKNOWN)
    found: Codes8 = cuts.held(state.times_ns, states, _NO_STATE)
    found *= wide
    found += cuts.held(reason.times_ns, words, wide - 1)
    return _looked_up(found, numbers)


def _states(state: Series) -> Codes8:
    """The number of the state of each row, or that of no state."""
    found = np.empty(len(state), np.uint8)
    for block in signals.blocks(len(state)):
        values, quality = state.values[block], state.quality[block]
        if quality.max() < Quality.BAD and values.view(np.uint64).max() < _BEYOND:
            found[block] = values
        else:
            known = (values >= 0) & (values < _NO_STATE) & (quality != Quality.BAD)
            found[block] = np.where(known, values, _NO_STATE)
    return found


def _small(said: Words, numbers: Numbers8) -> tuple[Codes8, Numbers8]:
    """The words as a column of bytes, and the table for it: words that refine nothing, or alike, share a number."""
    if numbers.size <= _CODES:
        return said.codes.astype(np.uint8), numbers
    columns = [tuple(column) for column in numbers.T.tolist()]
    alike = dict.fromkeys(one for one in columns if one != columns[-1])
    number = {column: at for at, column in enumerate([*alike, columns[-1]])}  # no word stands last, as before
    small = np.array([number[column] for column in columns], np.uint8)
    return small[said.codes], np.array(list(number), np.int8).T


def _looked_up(codes: Codes8, numbers: Numbers8) -> Numbers8:
    """The number of each code, two at a time: an index is made of eight bytes, whatever it is read from."""
    pairs, found = _pairs(numbers.tobytes()), np.empty(len(codes), np.int8)
    even = len(codes) // 2 * 2
    codes_of_two, found_of_two = codes[:even].view(np.uint16), found[:even].view(np.uint16)
    for block in signals.blocks(even // 2):
        pairs.take(codes_of_two[block], out=found_of_two[block], mode="clip")
    if even < len(codes):
        found[-1] = numbers.ravel()[codes[-1]]
    return found


@lru_cache(256)
def _pairs(numbers: bytes) -> npt.NDArray[np.uint16]:
    """What stands for each pair of codes, by the bytes of a table."""
    by_code = np.zeros(_CODES, np.uint16)
    by_code[: len(numbers)] = np.frombuffer(numbers, np.uint8)
    return (by_code | by_code[:, None] << np.uint16(8)).ravel()


@lru_cache(256)
def _numbers(
    words: tuple[str, ...], states: tuple[tuple[str, str], ...], reasons: tuple[tuple[str, str], ...]
) -> Numbers8:
    """The category of each state, and of no state, for each of these words and for none."""
    rows = [[NUMBER[one] for one in row] for row in table([*words, ""], dict(states), dict(reasons))]
    return np.array([*rows, [UNKNOWN] * len(rows[0])], np.int8)


def name_micro_stops(category: Numbers8, cuts: Cuts, limit_ns: int) -> None:
    """Stops shorter than the limit, measured whole, are micro-stops where their cause was not told."""
    if not limit_ns:
        return
    stop = (category > RUNNING) & (category < PLANNED)
    first, last = signals.runs(stop)
    short = cuts.at(last) - cuts.at(first) < limit_ns
    if not short.any():
        return
    stop[stop] = np.repeat(short, last - first)
    stop &= _MAY_BE_MICRO[category]
    category[stop] = NUMBER[Category.MICRO_STOP]
