"""The pages' words: English in templates and code, French in the gettext catalogue beside (`make texts` renews it)."""

import gettext
from pathlib import Path
from typing import Final, Literal

Language = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("fr", "en")
CATALOGUES: Final = Path(__file__).with_name("locale")
DOMAIN: Final = "km0"


def mark(text: str) -> str:
    """The text itself: says that it is a message, where it is translated elsewhere."""
    return text


def translations(language: Language) -> gettext.NullTranslations:
    """English is what the code says; a language without its catalogue is a broken installation and raises OSError."""
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, CATALOGUES, [language])


def preferred(asked: str | None, remembered: str | None, accept: str, usual: Language = "fr") -> Language:
    """The language asked for, else the one remembered, else the browser's first that we have, else the usual one."""
    for choice in (asked, remembered):
        for language in LANGUAGES:
            if choice == language:
                return language
    ranked: list[tuple[float, int, str]] = []
    for position, item in enumerate(accept.split(",")[:20]):
        tag, _, weight = item.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), position, tag[:2].lower()))
        except ValueError:
            continue
    for _, _, tag in sorted(ranked):
        for language in LANGUAGES:
            if tag == language:
                return language
    return usual
