"""A column of words as numbers: a million reasons are a million small integers and a handful of strings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.object_]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Words:
    """Row n is `words[codes[n]]`. `words` need not all occur, nor be in any order; each is there once."""

    codes: Codes
    words: tuple[str, ...]

    @staticmethod
    def of(texts: Iterable[str]) -> "Words":
        """Encode. Costs a look-up per row: sources that know their words already should say so."""
        rows = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
        numbers = {word: number for number, word in enumerate(dict.fromkeys(rows))}
        if len(numbers) == 1:
            return Words(np.zeros(len(rows), np.int32), tuple(numbers))
        return Words(np.fromiter(map(numbers.__getitem__, rows), np.int32, len(rows)), tuple(numbers))

    @staticmethod
    def none(rows: int) -> "Words":
        """So many rows without a word."""
        return Words(np.zeros(rows, np.int32), ("",))

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Any) -> "Words":
        """The rows of a slice, a mask or indices."""
        return Words(self.codes[rows], self.words)

    def texts(self) -> Texts:
        """Decoded: an object array of str."""
        table: Texts = np.empty(len(self.words), object)
        table[:] = self.words
        return table[self.codes]

    def table(self, value: dict[str, int], otherwise: int) -> Codes:
        """A number per row: that of its word in `value`."""
        return np.array([value.get(word, otherwise) for word in self.words], np.int32)[self.codes]


def joined(parts: Sequence[Words]) -> Words:
    """One column after the other."""
    words = tuple(dict.fromkeys(word for part in parts for word in part.words))
    numbers = {word: number for number, word in enumerate(words)}
    return Words(
        np.concatenate(
            [np.array([numbers[word] for word in part.words], np.int32)[part.codes] for part in parts]
            or [np.empty(0, np.int32)]
        ),
        words,
    )
