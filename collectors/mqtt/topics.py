"""Topic templates: `{site}/{area}/{line}/{asset}/{metric}` matches topics and fills other templates with the parts."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import AfterValidator

_PART: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_BRACES: Final = re.compile(r"[{}]")


class TopicTemplate:
    """A topic whose levels are literal, a named part `{name}`, `+` (any one level) or, at its end, `#` (any rest).

    Raises ValueError, in words for the plant file, when it is none.
    """

    def __init__(self, template: str) -> None:
        levels = template.split("/")
        names: list[str] = []
        expressions: list[str] = []
        filters: list[str] = []
        for depth, level in enumerate(levels):
            if part := _PART.fullmatch(level):
                names.append(part[1])
                expressions.append(f"(?P<{part[1]}>[^/]*)")
                filters.append("+")
            elif level == "+":
                expressions.append("[^/]*")
                filters.append("+")
            elif level == "#" and depth == len(levels) - 1:
                expressions.append(".*")
                filters.append("#")
            elif _BRACES.search(level) or "+" in level or "#" in level or "\0" in level:
                raise ValueError(
                    f"topic {template!r}: a level is a word, {{part}} (lower case), + or, at the end, #; not {level!r}"
                )
            else:
                expressions.append(re.escape(level))
                filters.append(level)
        if not template:
            raise ValueError("an empty topic matches nothing")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"topic {template!r}: the part {{{min(twice)}}} is there twice")
        self.names: Final = frozenset(names)
        self.filter: Final = "/".join(filters)
        # In MQTT "a/#" also matches "a", and a wildcard at the start does not match "$SYS/…".
        expression = "/".join(expressions)
        if expression.endswith("/.*"):
            expression = expression.removesuffix("/.*") + "(?:/.*)?"
        self._matches: Final = re.compile(("(?!\\$)" if filters[0] in ("+", "#") else "") + expression, re.DOTALL)

    def match(self, topic: str) -> dict[str, str] | None:
        """The named parts of the topic, or None when the template does not match it."""
        found = self._matches.fullmatch(topic)
        return None if found is None else found.groupdict()


def parts_of(template: str) -> frozenset[str]:
    """The names of the parts that a text with `{name}` in it asks for. Raises ValueError on a brace out of place."""
    names = _PART.findall(template)
    if _BRACES.search(_PART.sub("", template)):
        raise ValueError(f"{template!r}: a part is written {{name}}, in lower case")
    return frozenset(names)


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with every `{name}` replaced by that part."""
    return _PART.sub(lambda part: parts[part[1]], template)


def generalisations(topic: str) -> Iterator[str]:
    """Every subscription filter that matches the topic: 2 to the number of levels, and as many ending in #."""
    levels = topic.split("/")
    heads = [""]
    for depth, level in enumerate(levels):
        yield from (f"{head}#" for head in heads)
        last = depth == len(levels) - 1
        heads = [f"{head}{choice}{'' if last else '/'}" for head in heads for choice in (level, "+")]
    yield from heads
    yield from (f"{head}/#" for head in heads)


def shared_group(subscription: str) -> str:
    """The beginning `$share/GROUP/` of a shared subscription, "" of another."""
    return "/".join((*subscription.split("/", 2)[:2], "")) if subscription.startswith("$share/") else ""


def _checked_topic(template: str) -> str:
    TopicTemplate(template)
    return template


Topic = Annotated[str, AfterValidator(_checked_topic)]
"""The text of a topic template in the plant file."""
