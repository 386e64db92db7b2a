"""A small typed builder of InfluxQL, which InfluxDB 1.x, 2.x and 3.x all answer through Grafana's data source.

Only what all three answer is used: no SELECT INTO, no INTEGRAL (3.x has none), no continuous query. Identifiers and
strings are always quoted here, so no name in the plant file can end a query.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

Expression = str
"""A column, a call or arithmetic of both, quoted already."""
Condition = str
"""What stands after WHERE, quoted already."""


class Source(StrEnum):
    """Where a query is asked: the uid of a provisioned data source."""

    SAMPLES = "km0-samples"
    KPIS = "km0-kpis"


def name(text: str) -> str:
    """An InfluxQL identifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """An InfluxQL string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def call(function: str, column: str) -> Expression:
    """`mean("power")` …"""
    return f"{function}({name(column)})"


def equals(tag: str, text: str) -> Condition:
    return f"{name(tag)} = {literal(text)}"


def one_of(tag: str, *texts: str) -> Condition:
    """Any of these values of a tag."""
    return "(" + " OR ".join(equals(tag, text) for text in texts) + ")"


IN_RANGE: Final[Condition] = "$timeFilter"
"""Grafana's own: the time range of the board."""
LATELY_OR_IN_RANGE: Final[Condition] = "time >= ${__from}ms - 7d AND time <= ${__to}ms"
"""For values that hold: the one in force when the range begins was told before it. Grafana cuts what it draws."""
INTERVAL: Final = "time($__interval)"
PATH_TAGS: Final = ("site", "area", "line", "asset")
CHOSEN: Final[tuple[Condition, ...]] = tuple(f"{name(tag)} =~ /^${{{tag}:regex}}$/" for tag in PATH_TAGS)
"""What the variables of a board choose down the ISA-95 path; "all" matches absent levels too."""


def at(path: str) -> tuple[Condition, ...]:
    """The conditions that select one asset: absent levels of its path are absent tags."""
    site, *between, last = path.split("/")
    tags = {"site": site, "area": between[0] if between else "", "line": "/".join(between[1:]), "asset": last}
    return tuple(equals(tag, tags[tag]) for tag in PATH_TAGS)


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT. `columns` maps the name a column is to have to its expression; `of` is a measurement or a Select."""

    source: Source
    columns: dict[str, Expression]
    of: "str | Select"
    where: tuple[Condition, ...] = ()
    group: tuple[str, ...] = ()
    fill: str = ""
    newest_first: int = 0
    """With a number: so many rows, newest first."""

    def __str__(self) -> str:
        columns = ", ".join(f"{expression} AS {name(alias)}" for alias, expression in self.columns.items())
        origin = name(self.of) if isinstance(self.of, str) else f"({self.of})"
        text = f"SELECT {columns} FROM {origin}"  # noqa: S608  # identifiers and strings are quoted by this module
        if self.where:
            text += f" WHERE {' AND '.join(self.where)}"
        if self.group:
            text += f" GROUP BY {', '.join(g if g.startswith('time(') else name(g) for g in self.group)}"
        if self.fill:
            text += f" fill({self.fill})"
        if self.newest_first:
            text += f" ORDER BY time DESC LIMIT {self.newest_first}"
        return text

    def also(self, *conditions: Condition) -> "Select":
        """The same with more conditions."""
        return replace(self, where=(*self.where, *conditions))


def samples(measurement: str, columns: dict[str, Expression], *where: Condition, group: tuple[str, ...] = (),
            fill: str = "") -> Select:  # fmt: skip
    """Samples of the chosen assets in the board's time range."""
    return Select(Source.SAMPLES, columns, measurement, (*CHOSEN, IN_RANGE, *where), group, fill)


_ALL_KNOWN: Final[Condition] = '"unknown" = 0'
_VALUE_KNOWN: Final[Condition] = '("unknown" = 0 OR "unknown" = 2)'
"""`unknown` tells which figures of a KPI are not: 2 is the numerator, which a percentile never has."""


def kpis(columns: dict[str, Expression], kpi: str | tuple[str, ...], window: str | None, *where: Condition,
         group: tuple[str, ...] = (), fill: str = "", path: tuple[Condition, ...] = CHOSEN) -> Select:  # fmt: skip
    """KPI values of windows that begin in the board's time range. A figure that is not known has no point here, so
    that "no data" stays a gap and never becomes zero. `window` None: the conditions in `where` choose it."""
    chosen = equals("kpi", kpi) if isinstance(kpi, str) else one_of("kpi", *kpi)
    sums = any("numerator" in expression for expression in columns.values())
    known = _ALL_KNOWN if sums else _VALUE_KNOWN
    kind = () if window is None else (equals("window", window),)
    return Select(Source.KPIS, columns, "kpi", (chosen, *kind, known, *path, IN_RANGE, *where), group, fill)


def held(measurement: str, columns: dict[str, Expression], group: tuple[str, ...] = ()) -> Select:
    """Samples of metrics that hold, of the chosen assets: those of the board's time range and the last week before."""
    return Select(Source.SAMPLES, columns, measurement, (*CHOSEN, LATELY_OR_IN_RANGE), group)


RATIO: Final[Expression] = f"{call('sum', 'numerator')} / {call('sum', 'denominator')}"
"""A ratio over many windows: sums over sums, never the mean of ratios."""
