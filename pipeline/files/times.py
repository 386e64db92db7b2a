"""Instants in cells: how they are written is told from a sample, then read column by column, the unreadable set apart.

Times with an offset are what they say; others are wall-clock times of a zone. A time that the clock showed twice is the
first of the two, unless a row before it in the file is later; one that the clock skipped never was, and is a bad row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from pipeline.files.faults import Why
from pipeline.files.guard import RefusedFileError
from pipeline.files.tables import polars
from pipeline.kpis.signals import Flags
from pipeline.said import Said
from telemetry.intervals import Instants
from telemetry.samples import SECOND_NS
from telemetry.validity import EARLIEST_NS

if TYPE_CHECKING:
    from polars import Series as Cells

Words = npt.NDArray[Any]
Order = Literal["day", "month", "year"]
"""What comes first in a date."""

_DATES: Final = (
    "%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d/%m/%y", "%d.%m.%y", "%m/%d/%Y", "%m/%d/%y",
    "%Y%m%d", "%d %m %Y",
)  # fmt: skip
_CLOCKS: Final = (" %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "", " %H%M%S")
_OFFSET: Final = r"(Z|z|[+-]\d\d:?\d\d)$"
_ZONED: Final = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")
_UNITS: Final = ((10**17, 1), (10**14, 1_000), (10**11, 1_000_000), (10**8, SECOND_NS))
_EXCEL_DAYS: Final = (30_000, 80_000)
_EXCEL_EPOCH: Final = {"excel": -25_569, "excel1904": -24_107}
"""Days from Excel's day 0 to 1970-01-01: the usual calendar, and that of old Macintosh workbooks."""
_MONTHS: Final = {
    "jan": 1, "fév": 2, "fev": 2, "feb": 2, "mars": 3, "mar": 3, "avr": 4, "apr": 4, "mai": 5, "may": 5, "juin": 6,
    "jun": 6, "juil": 7, "jul": 7, "aoû": 8, "aou": 8, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "déc": 12, "dec": 12,
}  # fmt: skip
_LATEST_NS: Final = 4_102_444_800 * SECOND_NS
_PLAUSIBLE_FROM_NS: Final = 315_532_800 * SECOND_NS


class ZoneNeededError(RefusedFileError):
    """Times without an offset, and nobody said which zone they are of."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Instants [ns], 0 where `bad`; `why` says why a row is."""

    times_ns: Instants
    bad: Flags
    why: Why


@dataclass
class TimeReader:
    """Reads the instants of one file, batch after batch, in the order of its rows.

    `form`: strptime format, "epoch", "excel" or "excel1904"; "" for columns that hold real instants.
    """

    form: str
    zone: ZoneInfo | None
    zoned: bool = False
    ambiguous_order: bool = False
    twice: int = 0
    skipped: int = 0
    _latest_ns: int = -(1 << 62)

    @classmethod
    def of(cls, sample: Sequence[str], form: str | None, zone: str | None) -> "TimeReader":
        """A reader for times written like these. Raises DecodeError when the zone has no such name."""
        place = _zone(zone)
        if form is not None:
            return cls(form, place, zoned=bool(re.search(r"%[:#]?z|%\+", form)))
        cells = [cell for cell in sample if cell][:1000]
        pl = polars()
        text = _spelled(pl.Series(cells, dtype=pl.String))
        figures = text.filter(text.str.contains(r"^\d{1,19}([.,]\d*)?$"))
        if cells and len(figures) >= 0.6 * len(cells):  # below them may stand totals and notes
            numbers = figures.str.replace(",", ".", literal=True).cast(pl.Float64)
            if bool(numbers.is_between(*_EXCEL_DAYS).all()):
                return cls("excel", place)
            if bool((numbers >= _UNITS[-1][0]).all()) and not figures.str.contains(r"^(19|20)\d{12}$").all():
                return cls("epoch", place, zoned=True)
        if cells and int(text.str.contains(_OFFSET).sum()) > len(cells) / 2:
            return cls(_best(text, _ZONED), place, zoned=True)
        best = _best(text, [date + clock for date in _DATES for clock in _CLOCKS])
        swapped = best.replace("%d/%m", "%m/%d")
        both = swapped != best and _unread(text, swapped) == _unread(text, best)
        return cls(best, place, ambiguous_order=both)

    def read(self, column: "Cells") -> Reading:
        """The instants of a column. Raises ZoneNeededError where they have no offset and no zone was stated."""
        pl = polars()
        if column.dtype in (pl.Datetime, pl.Date):
            zoned = getattr(column.dtype, "time_zone", None) is not None
            moments = column.cast(pl.Datetime("ns", getattr(column.dtype, "time_zone", None)))
            return self._sound(column, moments) if zoned else self._placed(column, moments)
        text = column.cast(pl.String).str.strip_chars()
        if column.dtype.is_numeric() or self.form in ("epoch", *_EXCEL_EPOCH):
            return self._numbers(column, text)
        moments = _parse(text, self.form)
        if moments.null_count():
            moments = _filled(moments, text, self.form)
        return self._sound(column, moments) if self.zoned else self._placed(column, moments)

    def notes(self) -> tuple[Said, ...]:
        """What its owner should know of how the times were read."""
        found = []
        if self.twice:
            found.append(Said(
                f"{self.twice} {'rows lie' if self.twice > 1 else 'row lies'} in an hour that the clock showed twice: "
                "told apart by the order of rows",
                f"{self.twice} {'lignes tombent' if self.twice > 1 else 'ligne tombe'} dans l'heure que l'horloge a "
                "montrée deux fois : l'ordre des lignes départage",
            ))  # fmt: skip
        if self.ambiguous_order:
            found.append(Said(
                "no date tells whether day or month comes first: read as day/month",
                "aucune date ne dit qui vient d'abord du jour ou du mois : lues jour/mois",
            ))  # fmt: skip
        return tuple(found)

    def _numbers(self, column: "Cells", text: "Cells") -> Reading:
        pl = polars()
        if self.form in _EXCEL_EPOCH:
            days = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).to_numpy()
            bad = ~np.isfinite(days) | (np.abs(days) > 1e6)
            # Excel counts milliseconds at best: what lies below is the noise of its fractions of a day
            wall_ms = np.rint((np.where(bad, 0, days) + _EXCEL_EPOCH[self.form]) * 86_400_000).astype(np.int64)
            moments = pl.Series(wall_ms).cast(pl.Datetime("ms")).cast(pl.Datetime("ns"))
            return self._placed(column, moments.set(pl.Series(bad), None))
        whole = text.cast(pl.Int64, strict=False)
        if whole.null_count() == text.null_count():
            raw = whole.fill_null(0).to_numpy().astype(np.int64)
            unit = next((unit for least, unit in _UNITS if abs(int(raw[raw != 0][:1].sum())) >= least), SECOND_NS)
            return self._checked(column, raw * unit, _nulls(whole))
        floats = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).to_numpy()
        bad = ~np.isfinite(floats)
        first = float(floats[~bad][0]) if (~bad).any() else 0.0
        unit = next((unit for least, unit in _UNITS if abs(first) >= least), SECOND_NS)
        return self._checked(column, np.rint(np.where(bad, 0, floats) * unit).astype(np.int64), bad)

    def _sound(self, column: "Cells", moments: "Cells") -> Reading:
        """Instants with an offset."""
        return self._checked(column, _ns(moments), _nulls(moments))

    def _placed(self, column: "Cells", moments: "Cells") -> Reading:
        """Wall-clock times in the zone."""
        unread = _nulls(moments)
        if unread.all():
            return self._checked(column, np.zeros(len(unread), np.int64), unread)
        if self.zone is None:
            raise ZoneNeededError(Said(
                'its times have no offset: state their zone, such as timezone = "Europe/Paris"',
                "ses heures n'ont pas de décalage : dites leur fuseau horaire, par exemple Europe/Paris",
            ))  # fmt: skip
        zone = self.zone.key
        first = moments.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        early, bad = _ns(first), _nulls(first)
        late = _ns(moments.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null"))
        reached = np.maximum.accumulate(np.concatenate(([self._latest_ns], np.where(bad, self._latest_ns, early))))
        twice = np.flatnonzero(early != late)
        if len(twice):
            self.twice += len(twice)
            turned = twice[reached[1:][twice] > early[twice]]
            early[turned] = late[turned]
            reached = np.maximum(reached, early.max())
        self._latest_ns = int(reached[-1])
        self.skipped += int((bad & ~unread).sum())
        return self._checked(column, early, bad, bad & ~unread)

    def _checked(self, column: "Cells", times: Instants, bad: Flags, skipped: Flags | None = None) -> Reading:
        """Without what cannot be: unreadable, skipped by the clock, of a clock that was never set."""
        absurd = ~bad & ((times < EARLIEST_NS) | (times > _LATEST_NS))

        def why(row: int) -> Said:
            told = "" if column[row] is None else str(column[row])[:40]
            if not told:
                return Said("there is no time", "il n'y a pas d'heure")
            if absurd[row]:
                return Said(f"{told!r}: a clock that was never set", f"« {told} » : une horloge jamais réglée")
            if skipped is not None and skipped[row] and self.zone is not None:
                return Said(
                    f"{told!r} does not exist in {self.zone.key}: the clock skipped it. Are the times in UTC?",
                    f"« {told} » n'existe pas à {self.zone.key} : l'horloge l'a sautée. Les heures sont-elles en UTC ?",
                )
            return Said(
                f"{told!r} is not a time; say how it is written: time_format",
                f"« {told} » n'est pas une heure ; dites comment elle s'écrit",
            )

        return Reading(np.where(bad | absurd, 0, times), bad | absurd, why)


def order_of(form: str) -> Order | None:
    """What comes first in a date of a format; None where it is no date that people write."""
    sign = form[:2].lower()
    return "day" if sign == "%d" else "month" if sign == "%m" else "year" if sign == "%y" else None


def forms_of(sample: Sequence[str]) -> dict[Order, str]:
    """By what may come first in dates written like these: the format that reads most of them; without any that does
    none, unless there is no date at all."""
    pl = polars()
    text = _spelled(pl.Series([cell for cell in sample if cell][:1000], dtype=pl.String))
    found: dict[Order, str] = {}
    for order in get_args(Order):
        best = _best(text, [date + clock for date in _DATES if order_of(date) == order for clock in _CLOCKS])
        if len(text) == 0 or _unread(text, best) < len(text):
            found[order] = best
    return found


def joined(dates: "Cells", clocks: "Cells") -> "Cells":
    """A column of dates and one of times of day, as spreadsheets keep them, in one: either may carry an empty half."""
    pl = polars()
    date = dates.cast(pl.String).str.replace(r"[T ]00:00(:00(\.0+)?)?$", "")
    clock = clocks.cast(pl.String).str.replace(r"^(1899-12-3\d|1900-01-0\d|1904-01-0\d)[T ]", "")
    return (date.fill_null("") + " " + clock.fill_null("")).str.strip_chars()


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # "Europe" is a folder
        raise RefusedFileError(Said(
            f'{name!r} is not an IANA time zone; write for example "Europe/Paris"',
            f"« {name} » n'est pas un fuseau horaire ; écrivez par exemple Europe/Paris",
        )) from None  # fmt: skip


def _best(text: "Cells", forms: Sequence[str]) -> str:
    """The format that reads most of the sample; of equals the first."""
    return min(forms, key=lambda form: _unread(text, form))


def _unread(text: "Cells", form: str) -> int:
    return int(_parse(text, form).null_count())


def _parse(text: "Cells", form: str) -> "Cells":
    """The moments of a column by one format; null where it does not fit, or gives a year that nobody meant."""
    pl = polars()
    zone = "UTC" if re.search(r"%[:#]?z|%\+", form) else None
    moments = text.str.replace(r"^(\d\S*)T(\d)", "${1} ${2}").str.to_datetime(
        form, time_unit="ns", time_zone=zone, strict=False
    )
    ticks = moments.to_physical()
    found: Cells = pl.select(
        pl.when((ticks >= _PLAUSIBLE_FROM_NS - 40 * 365 * 86400 * SECOND_NS) & (ticks <= _LATEST_NS))
        .then(moments)
        .otherwise(None)
    ).to_series()
    return found


def _filled(moments: "Cells", text: "Cells", form: str) -> "Cells":
    """What one format could not read, read by its sisters (seconds left out, words for months), the date alike."""
    pl = polars()
    at = moments.is_null() & text.is_not_null()
    rest = _spelled(text.filter(at))
    if len(rest) == 0:
        return moments
    date = form.partition(" ")[0]
    sisters = _ZONED if form in _ZONED else [form, *(one + clock for one in (date, "%Y-%m-%d") for clock in _CLOCKS)]
    found = _parse(rest, sisters[0])
    for sister in sisters[1:]:
        if not found.null_count():
            break
        found = pl.select(pl.coalesce(found, _parse(rest, sister))).to_series()
    return moments.scatter(at.arg_true(), found)


def _spelled(text: "Cells") -> "Cells":
    """Times as people write them, in figures: "lundi 2 mars 2026 à 5h30" → "2 03 2026 05:30"."""
    pl = polars()
    plain = text.str.to_lowercase().str.replace_all("[\u00a0\u202f]", " ")
    if bool(plain.str.contains(r"[a-zàéû]{3,}").any()):
        plain = plain.str.replace(r"^[a-zé]{2,9}\.?,?\s+", "")  # the day of the week
        for name, number in _MONTHS.items():
            plain = plain.str.replace(rf"\b{name}[a-zéûl]*\.?", f"{number:02d}")
        plain = plain.str.replace(r"^(\d{1,2})(er)?[ -](\d\d)[ -](\d{4})", "${1} ${3} ${4}")
    return (
        plain.str.replace(r"\s+à\s+|,\s+|\s+-\s+|(\d)t(\d)", "${1} ${2}")
        .str.replace(r"(\d)\s?h\s?(\d\d)", "${1}:${2}")
        .str.replace(r"(\d)\s?h$", "${1}:00")
        .str.replace(r"(:\d\d),(\d)", "${1}.${2}")
        .str.replace(r"(:\d\d)(z|[+-]\d\d:?\d\d)$", "${1}${2}")
        .str.replace(r"z$", "Z")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
        .cast(pl.String)
    )


def _ns(moments: "Cells") -> Instants:
    found: Instants = moments.to_physical().fill_null(0).to_numpy().astype(np.int64)
    return found


def _nulls(column: "Cells") -> Flags:
    found: Flags = column.is_null().to_numpy().copy()
    return found
