"""The boards' words: English where they are used, French in french.toml or, if pages have them too, from theirs."""

import tomllib
from pathlib import Path
from typing import Final

from dashboards.web.texts import FRENCH as PAGES
from dashboards.web.texts import LANGUAGES, Language

FRENCH: Final[dict[str, str]] = tomllib.loads(Path(__file__).with_name("french.toml").read_text(encoding="utf-8"))


class Texts:
    """Called with an English text, gives it in the language. `missing` are those that had no French."""

    def __init__(self, language: Language) -> None:
        self.language: Final = language
        self.missing: set[str] = set()

    def __call__(self, text: str) -> str:
        if self.language == "en":
            return text
        french = FRENCH.get(text, PAGES.get(text))
        if french is None:
            self.missing.add(text)
            return text
        return french


__all__ = ["LANGUAGES", "Language", "Texts"]
