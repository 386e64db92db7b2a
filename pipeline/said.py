"""A sentence for people, in the languages of the house."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["fr", "en"]


@dataclass(frozen=True, slots=True)
class Said:
    """The same in English and French. `str()` is the English one, for logs and the command line."""

    en: str
    fr: str

    def __str__(self) -> str:
        return self.en

    def in_(self, language: Language) -> str:
        """The sentence in one language."""
        return self.fr if language == "fr" else self.en
