"""Sentences with figures in them: `{name:kind}` in a template becomes the figure as people of a language write it, and
`[one|many]` after it the words that go with that number in that language.

French typography is done here once: no-break spaces before : ; ? ! % and inside guillemets, in templates, never in
words that come from data.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Final

from dashboards.web.definitions import LOSSES
from dashboards.web.formats import NOT_KNOWN, Formats
from dashboards.web.texts import Language, translations
from pipeline.diagnosis.finding import Match
from pipeline.said import Said

_NARROW: Final = "\u202f"
_WIDE: Final = "\u00a0"
_PLACE: Final = re.compile(r"\{(\w+)(?::(\w+))?\}|\[([^|\]]*)\|([^\]]*)\]")
_SMALL: Final = 1e-4


def typeset(text: str, language: Language) -> str:
    """The text with the spaces of its language."""
    text = text.replace("(p {", f"(p{_WIDE}{{")
    if language != "fr":
        return text
    text = re.sub(r" ([;?!%])", _NARROW + r"\1", text)
    text = re.sub(r" :", _WIDE + ":", text)
    text = re.sub(r"(?<=\w)'(?=\w)", "\u2019", text)
    return text.replace("« ", "«" + _WIDE).replace(" »", _WIDE + "»")


def alone(number: float, language: Language) -> bool:
    """Whether a number, as it is shown, takes the singular: in French below two, in English one alone."""
    shown = round(number) if isfinite(number) else 2
    return shown in (0, 1) if language == "fr" else shown == 1


def category(name: str, language: Language) -> str:
    """What a category of losses is called."""
    symbol, told = LOSSES[name]
    return f"{translations(language).gettext(told)} ({symbol})"


@dataclass(frozen=True)
class Phrases:
    """Speaks a language about a plant's zone."""

    formats: Formats

    @property
    def language(self) -> Language:
        return self.formats.language

    def say(self, said: Said) -> str:
        """A sentence without figures."""
        return typeset(said.in_(self.language), self.language)

    def tell(self, said: Said, match: Match) -> str:
        """A rule's words with the figures of what it found. KeyError: the words name a figure that is not there."""
        return self.fill(said, match.figures, {"asset": match.shown, **match.words})

    def fill(self, said: Said, figures: Mapping[str, float], words: Mapping[str, str]) -> str:
        """A template with its figures and words in place."""
        number = nan

        def one(place: re.Match[str]) -> str:
            nonlocal number
            name, kind, singular, plural = place.groups()
            if name is None:
                return singular if alone(number, self.language) else plural
            if kind is None:
                return words[name]
            if kind == "category":
                return category(words[name], self.language)
            number = figures[name]
            return self.figure(number, kind)

        return _PLACE.sub(one, typeset(said.in_(self.language), self.language))

    def figure(self, value: float, kind: str) -> str:
        """A number of a kind; "—" where it is not known."""
        return NOT_KNOWN if math.isnan(value) else _KINDS[kind](self.formats, value)

    def share(self, value: float, digits: int = 1) -> str:
        """A ratio as a percentage."""
        return self.figure(value, "percent") if digits == 1 else self.formats.percent(_known(value), digits)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _seconds(formats: Formats, value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{formats.number(value, digits)}{_WIDE}s"


def _ms(formats: Formats, value: float) -> str:
    if math.isinf(value):  # so many never came back
        return "perdu" if formats.language == "fr" else "lost"
    digits = 0 if value == round(value) or value >= 100 else 1
    return f"{formats.number(value, digits)}{_WIDE}ms"


def _probability(formats: Formats, value: float) -> str:
    return f"<{_WIDE}{formats.number(_SMALL, 4)}" if value < _SMALL else f"={_WIDE}{formats.number(value, 4)}"


def _hours(formats: Formats, value: float) -> str:
    if value >= 24 * 3:
        return f"{formats.number(math.ceil(value / 24))}{_WIDE}{'jours' if formats.language == 'fr' else 'days'}"
    return formats.duration(math.ceil(value * 60) * 60)


def _availability(formats: Formats, value: float) -> str:
    """As many nines as it has."""
    missing = 1 - value
    digits = 1 if missing <= 0 else min(8, max(1, math.ceil(-math.log10(missing) - 1e-6) - 2))
    return formats.percent(value, digits)


_KINDS: Final[dict[str, Callable[[Formats, float], str]]] = {
    "duration": lambda formats, value: formats.duration(value),
    "percent": lambda formats, value: formats.percent(value),
    "ratio": lambda formats, value: formats.ratio(value),
    "number": lambda formats, value: formats.number(round(value)),
    "seconds": _seconds,
    "ms": _ms,
    "p": _probability,
    "hours": _hours,
    "availability": _availability,
}
"""Kinds of figures in words: [s], share [0…1], count, [s] with digits, [ms], probability, [h], share with nines."""
