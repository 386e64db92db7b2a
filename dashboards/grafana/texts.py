"""The boards' words: English where they are used, French in french.toml or, if pages have them too, from theirs."""

import gettext
import tomllib
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.web.formats import Formats
from dashboards.web.texts import LANGUAGES, Language, translations

FRENCH: Final[dict[str, str]] = tomllib.loads(Path(__file__).with_name("french.toml").read_text(encoding="utf-8"))


class _Missing(gettext.NullTranslations):
    """What no catalogue has: remembered, and left in English."""

    def __init__(self, missing: set[str]) -> None:
        super().__init__()
        self._missing = missing

    def gettext(self, message: str) -> str:
        self._missing.add(message)
        return message


class Texts:
    """Called with an English text, gives it in the language. `missing` are those that had no French."""

    def __init__(self, language: Language) -> None:
        self.language: Final = language
        self.missing: set[str] = set()
        self._pages = translations(language)
        self._pages.add_fallback(_Missing(self.missing))

    def __call__(self, text: str) -> str:
        if self.language == "en":
            return text
        return FRENCH[text] if text in FRENCH else self._pages.gettext(text)

    def percent(self, share: float) -> str:
        """A share [0…1] in whole per cent, as the language writes it."""
        return Formats(self.language, ZoneInfo("UTC")).percent(share, 0)


__all__ = ["LANGUAGES", "Language", "Texts"]
