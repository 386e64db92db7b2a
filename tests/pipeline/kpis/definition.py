"""The time model written straight from its definition, cell by cell: slow, plain, and without a line of the code it
checks. Samples lie on a grid of cells of 30 s, and a cell is all of one kind."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from math import inf, nan

from telemetry.samples import SECOND_NS, Quality, Sample

CELL = 30 * SECOND_NS
RUN = 3
STATES = {
    0: "operation", 1: "breakdown", 2: "operation", 3: "running", 4: "changeover", 5: "induced", 6: "induced",
    7: "upkeep",
}  # fmt: skip
REASONS = {"no order": "planned", "réglage": "adjustment"}
INPUTS = ("state", "reason", "product", "parts", "parts_good", "parts_scrap")


class Definition:
    """What a machine's samples say, at any cell; times are numbers of cells since the epoch."""

    def __init__(
        self, samples: Sequence[Sample], cycles: Mapping[str, float], stale: int, micro: int,
        shift: tuple[int, int], pause: tuple[int, int],
    ) -> None:  # fmt: skip
        self.rows: dict[str, list[Sample]] = {}
        for sample in sorted(samples, key=lambda one: one.time_ns):
            self.rows.setdefault(sample.metric, []).append(sample)
        self.times = {metric: [one.time_ns // CELL for one in rows] for metric, rows in self.rows.items()}
        self.cycles, self.stale, self.micro, self.shift, self.pause = cycles, stale, micro, shift, pause
        alive = sorted({time for times in self.times.values() for time in times})
        ends: list[float] = [*alive[1:], inf]
        silent = [(a, b) for a, b in zip(alive, ends, strict=True) if b - a > stale]
        broken = [(at, end) for at, end in self._breaks() if end > at]
        self.unknown = [(a + stale, b) for a, b in silent] + broken
        self.lost = [(a, b) for a, b in silent + broken if self._value("state", a) == RUN]
        self.counters = {name: name in self.rows for name in ("parts", "parts_good", "parts_scrap")}
        for question in ("category", "open", "required", "made_known", "good_known", "counted"):
            setattr(self, question, cache(getattr(self, question)))  # each cell is asked again and again

    def _breaks(self) -> list[tuple[int, float]]:
        found = []
        for one in self.rows.get("online", []):
            at = one.time_ns // CELL
            if one.quality == Quality.BAD or one.value < 1:
                following = [time for metric in INPUTS for time in self.times.get(metric, []) if time >= at]
                following += [time for time in self.times["online"] if time > at]
                found.append((at, min(following, default=inf)))
        return found

    def _row(self, metric: str, cell: int) -> Sample | None:
        at = bisect_right(self.times.get(metric, []), cell)
        return self.rows[metric][at - 1] if at else None

    def _value(self, metric: str, cell: int) -> float:
        row = self._row(metric, cell)
        return nan if row is None or row.quality == Quality.BAD else row.value

    def _word(self, metric: str, cell: int) -> str:
        row = self._row(metric, cell)
        return "" if row is None or row.quality == Quality.BAD else row.text

    def category(self, cell: int) -> str:
        """Before micro-stops are named; "" where nobody knows."""
        state = self._value("state", cell)
        if state not in STATES or any(start <= cell < end for start, end in self.unknown):
            return ""
        return "running" if state == RUN else REASONS.get(self._word("reason", cell), STATES[int(state)])

    def open(self, cell: int) -> bool:
        minute = cell // 2 % 1440
        start, end = self.shift
        return start <= minute or minute < end  # over midnight

    def required(self, cell: int) -> bool:
        minute = cell // 2 % 1440
        return self.open(cell) and not self.pause[0] <= minute < self.pause[1]

    def cycle(self, cell: int) -> float:
        return self.cycles.get(self._word("product", cell), nan)

    def made_known(self, cell: int) -> bool:
        names = ("parts_good", "parts_scrap") if self._from_scrap("parts") else ("parts",)
        return all(self._value(name, cell) == self._value(name, cell) for name in names)

    def good_known(self, cell: int) -> bool:
        names = ("parts", "parts_scrap") if self._from_scrap("parts_good") else ("parts_good",)
        return all(self._value(name, cell) == self._value(name, cell) for name in names)

    def _from_scrap(self, name: str) -> bool:
        return self.counters["parts_scrap"] and not self.counters[name] and (name == "parts" or self.counters["parts"])

    def counted(self, cell: int) -> bool:
        """Whether the count of parts and their cycle are known."""
        lost = any(start <= cell < end for start, end in self.lost)
        return not lost and self.made_known(cell) and self.cycle(cell) == self.cycle(cell)

    def _grown(self, metric: str) -> list[tuple[int, float, bool]]:
        """Of each row: where, how much the counter grew, and whether that was made in known time."""
        found = []
        before: Sample | None = None
        for row in self.rows.get(metric, []):
            at, since = row.time_ns // CELL, -1 if before is None else before.time_ns // CELL
            grown = 0.0
            if before is not None and Quality.BAD not in (before.quality, row.quality):
                grown = row.value - before.value
                if grown < 0:
                    grown = 0.0 if row.value > before.value / 2 else max(row.value, 0.0)
            unsure = before is not None and any(since < end <= at < end + self.stale for _, end in self.lost)
            found.append((at, grown, not unsure))
            before = row
        return found

    def made(self) -> list[tuple[int, float, bool]]:
        if self._from_scrap("parts"):
            return self._grown("parts_good") + self._grown("parts_scrap")
        return self._grown("parts")

    def good(self) -> list[tuple[int, float, bool]]:
        if self._from_scrap("parts_good"):
            return self._grown("parts") + [(at, -grown, sure) for at, grown, sure in self._grown("parts_scrap")]
        return self._grown("parts_good")

    def over(self, start: int, end: int) -> dict[str, float]:
        """The Oee of the cells start … end − 1 [s]."""
        margin = range(start - self.micro - 1, end + self.micro + 1)
        category = {cell: self.category(cell) for cell in margin}
        stops = [cell for cell in margin if category[cell] not in ("", "running", "planned")]
        runs: list[list[int]] = []
        for cell in stops:
            if runs and runs[-1][-1] == cell - 1:
                runs[-1].append(cell)
            else:
                runs.append([cell])
        for run in runs:
            for cell in run:
                if len(run) < self.micro and category[cell] in ("breakdown", "operation"):
                    category[cell] = "micro_stop"
        cells = range(start, end)
        required = [cell for cell in cells if self.required(cell)]
        known = [cell for cell in required if category[cell] not in ("", "planned")]
        counted = [cell for cell in known if self.counted(cell)]
        judged = [cell for cell in counted if self.good_known(cell)]
        found = {
            "total": len(cells), "opening": sum(map(self.open, cells)), "known": len(known), "counted": len(counted),
            "required": sum(category[cell] != "planned" for cell in required), "judged": len(judged),
            "running": sum(category[cell] == "running" for cell in known),
            "counted_running": sum(category[cell] == "running" for cell in counted),
            "planned": sum(category[cell] == "planned" for cell in required),
        }  # fmt: skip
        found |= {name: sum(category[cell] == name for cell in known) for name in (*STATES.values(), "micro_stop")}
        found = {name: count * 30.0 for name, count in found.items()}
        found["failures"] = sum(category[c] == "breakdown" != category[c - 1] for c in required)
        found["made_coverage"] = sum(map(self.made_known, cells)) / len(cells)
        found["good_coverage"] = sum(map(self.good_known, cells)) / len(cells)

        def fits(at: int, sure: bool, judged: bool) -> bool:
            # what is counted at an instant was made before it
            made_in = self.category(at - 1)
            fit = sure and made_in not in ("", "planned") and self.required(at) and self.counted(at - 1)
            return fit and (not judged or self.good_known(at - 1))

        made, good = ([row for row in rows if start <= row[0] < end] for rows in (self.made(), self.good()))
        found["made_all"], found["good_all"] = sum(row[1] for row in made), sum(row[1] for row in good)
        found["net"] = sum(grown * self.cycle(at - 1) for at, grown, sure in made if fits(at, sure, False))
        found["judged_net"] = sum(grown * self.cycle(at - 1) for at, grown, sure in made if fits(at, sure, True))
        found["useful"] = sum(grown * self.cycle(at - 1) for at, grown, sure in good if fits(at, sure, True))
        found["made"] = sum(grown for at, grown, sure in made if fits(at, sure, True))
        found["good"] = sum(grown for at, grown, sure in good if fits(at, sure, True))
        return found
