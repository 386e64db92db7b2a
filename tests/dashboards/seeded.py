"""A day of a small plant, made up but coherent: the same seed, the same day. KPI values are summed from its own states.

`python -m tests.dashboards` serves it live on a free port, to look at.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from dashboards.web.config import WebConfig
from dashboards.web.context import WebContext
from telemetry.calendar import days, hours, required, turns
from telemetry.glossary import MachineState
from telemetry.health import Health
from telemetry.intervals import total_ns
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, Window
from tests.contracts.memory import MemoryStore

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
NOW_NS = 1_795_343_400 * SECOND_NS
"""2026-11-22T10:30:00Z, 11:30 in Paris, in the shift "matin"."""

MILL = "km0/fabrication/cell-1/mill-1"
LATHE = "km0/fabrication/cell-1/lathe-1"
PRESS = "km0/fabrication/cell-2/press-1"
PRINTER = "km0/additive/print-hall/printer-1"
LINK = "km0/network/5g/link-1"

SHIFTS = CalendarConfig(
    name="3x8",
    shifts=(
        Turn(name="nuit", start=21 * 60, end=5 * 60),
        Turn(name="matin", start=5 * 60, end=13 * 60),
        Turn(name="après-midi", start=13 * 60, end=21 * 60),
    ),
    breaks=tuple(Turn(name="pause", start=hour * 60, end=hour * 60 + 20) for hour in (1, 9, 17)),
)

PLANT = Plant(
    name="Plateforme KM0",
    calendars=(SHIFTS,),
    assets=(
        Asset(path=MILL, name="Fraiseuse 5 axes", calendar="3x8", cycle_s={"*": 60.0}, target_trs=0.75),
        Asset(path=LATHE, name="Tour à commande numérique", calendar="3x8", cycle_s={"*": 45.0}, target_trs=0.7),
        Asset(path=PRESS, name="Presse", calendar="3x8", cycle_s={"*": 12.0}, target_trs=0.8),
        Asset(path=PRINTER, name="Imprimante 3D", calendar="3x8", cycle_s={"*": 900.0}),
        Asset(path=LINK, name="Lien 5G", kind="link", stale_after_s=30),
    ),
)

STOPS = (
    (MachineState.SETUP, "changeover"),
    (MachineState.NOT_EXECUTING, "no_operator"),
    (MachineState.OUT_OF_SERVICE, "tool_breakage"),
    (MachineState.STARVED, "no_material"),
    (MachineState.BLOCKED, "conveyor_full"),
    (MachineState.MAINTENANCE, "lubrication"),
)


@dataclass(frozen=True)
class Row:
    name: str
    unit: str = ""
    reference: str = "NF E60-182"
    meaning: str = "a figure"
    name_fr: str = "chiffre"
    meaning_fr: str = "un chiffre"
    reference_fr: str = "NF E60-182"


ROWS = (
    Row("trs", reference="NF E60-182 TRS = tU/tR = Do·Tp·Tq"),
    Row("do", reference="NF E60-182 Do = tF/tR"),
    Row("tp", reference="NF E60-182 Tp = tN/tF"),
    Row("tq", reference="NF E60-182 Tq = tU/tN"),
    Row("parts", "part"),
    Row("parts_good", "part"),
    Row("rtt_p50", "ms", "RFC 2681"),
    Row("rtt_p99", "ms", "RFC 2681"),
)


@dataclass(frozen=True)
class Letter:
    id: int
    at_ns: int
    source: str
    reason: str
    raw: bytes


@dataclass
class Letters:
    """Dead letters in a list."""

    kept: list[Letter] = field(default_factory=list)

    def add(self, at_ns: int, source: str, reason: str, raw: bytes) -> None:
        self.kept.append(Letter(len(self.kept) + 1, at_ns, source, reason, raw))

    def count(self) -> int:
        return len(self.kept)

    def list(self, limit: int, before: int | None = None) -> "list[Letter]":
        return [letter for letter in reversed(self.kept) if before is None or letter.id < before][:limit]


_FOLDERS = TemporaryDirectory(prefix="km0-web-")
"""What the app writes in tests; gone with the process."""


@dataclass
class Clock:
    """A clock that tests set."""

    now_ns: int = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@dataclass(frozen=True)
class Seeded:
    """A context, and what is behind it."""

    context: WebContext
    store: MemoryStore
    health: Health
    letters: Letters
    clock: Clock


def empty(plant: Plant = PLANT, config: WebConfig | None = None) -> Seeded:
    """A plant of which nothing was ever heard."""
    clock, store, letters = Clock(), MemoryStore(), Letters()
    health = Health(clock)
    config = config or WebConfig(port=0)
    if "folder" not in config.model_fields_set:
        config = config.model_copy(update={"folder": Path(_FOLDERS.name) / uuid4().hex})
    context = WebContext(plant, store, health, letters, ROWS, config, clock)
    return Seeded(context, store, health, letters, clock)


def full(seed: int = 7, *, rtt_every_ns: int = SECOND_NS, config: WebConfig | None = None) -> Seeded:
    """The last 24 hours of the plant."""
    seeded = empty(config=config)
    chance = random.Random(seed)
    # the press has a fault since 12 minutes; the printer was last heard 40 minutes ago
    for path, running, gap in ((MILL, 0.85, False), (LATHE, 0.8, True), (PRESS, 0.9, False), (PRINTER, 0.7, False)):
        _machine(seeded, path, running, chance, gap=gap)
    _link(seeded, chance, rtt_every_ns)
    drain = seeded.health.component("drain")
    drain.ok()
    drain.gauge("lag_ms", 14.2)
    drain.gauge("spooled_batches", 2)
    drain.count("samples", 1200)
    seeded.health.component("mqtt press").ok()
    seeded.health.component("opcua cell-1").ok()
    seeded.letters.add(NOW_NS - HOUR_NS, "mqtt: km0/x", "unknown asset 'km0/x'", b'{"value": "\xff<script>"}')
    return seeded


def _machine(seeded: Seeded, path: str, share: float, chance: random.Random, *, gap: bool) -> None:
    day = Window(NOW_NS - 34 * HOUR_NS, NOW_NS)
    pauses = [window for _, window in turns(day, SHIFTS, PLANT.zone, breaks=True)]
    states: list[tuple[int, int, MachineState, str]] = []
    time = day.start_ns
    while time < day.end_ns:
        run = round(chance.expovariate(1 / (75 * share)) * MINUTE_NS) + 4 * MINUTE_NS
        stop = round(chance.expovariate(1 / (75 * (1 - share))) * MINUTE_NS) + MINUTE_NS
        states.append((time, time + run, MachineState.EXECUTING, ""))
        state, reason = chance.choice(STOPS)
        states.append((time + run, time + run + stop, state, reason))
        time += run + stop
    product = chance.choice(("bielle", "carter", "pignon"))
    silent = Window(NOW_NS - 9 * HOUR_NS, NOW_NS - 7 * HOUR_NS) if gap else Window(0, 0)
    samples = [Sample(day.start_ns, path, "product", 0.0, product)]
    for start, _, state, reason in states:
        if start < NOW_NS and not silent.overlaps(start, start):
            samples.append(Sample(start, path, "state", float(state)))
            samples.append(Sample(start, path, "reason", 0.0, reason))
    for pause in pauses:
        samples.append(Sample(pause.start_ns + 1, path, "state", float(MachineState.NOT_EXECUTING)))
        samples.append(Sample(pause.end_ns, path, "state", float(MachineState.EXECUTING)))
    samples += [
        Sample(time, path, "spindle_load", chance.uniform(20, 80))
        for time in range(day.start_ns, NOW_NS, 30 * SECOND_NS)
        if not silent.overlaps(time, time)
    ]
    if gap:
        samples.append(Sample(silent.start_ns, path, "state", 0.0, "", Quality.BAD))
    if path == PRESS:
        fault_ns = NOW_NS - 12 * MINUTE_NS
        samples = [sample for sample in samples if sample.time_ns < fault_ns or sample.metric == "spindle_load"]
        samples.append(Sample(fault_ns, path, "state", float(MachineState.OUT_OF_SERVICE)))
        samples.append(Sample(fault_ns, path, "reason", 0.0, "tool_breakage"))
    if path == PRINTER:
        samples = [sample for sample in samples if sample.time_ns <= NOW_NS - 40 * MINUTE_NS]
    seeded.store.write(samples)
    running = [(start, end) for start, end, state, _ in states if state is MachineState.EXECUTING]
    windows = [*hours(day), *days(day, PLANT.zone), *(turn for _, turn in turns(day, SHIFTS, PLANT.zone))]
    pace = chance.uniform(0.88, 0.99)
    seeded.store.write_kpis([v for w in windows for v in _kpis(path, w, running, silent, pace)], 1)


def _kpis(path: str, window: Window, running: list[tuple[int, int]], silent: Window, pace: float) -> list[KpiValue]:
    end = min(window.end_ns, NOW_NS)
    if end <= window.start_ns:
        return []
    need = required(Window(window.start_ns, end), SHIFTS, PLANT.zone)
    needed = total_ns(need) / SECOND_NS
    hidden = max(0, min(end, silent.end_ns) - max(window.start_ns, silent.start_ns)) / SECOND_NS
    t_r = max(0.0, needed - hidden)
    t_f = min(t_r, sum(max(0, min(e, end) - max(s, window.start_ns)) for s, e in running) / SECOND_NS * 0.98)
    t_n, coverage = t_f * pace, t_r / needed if needed else 0.0
    t_u = t_n * 0.983

    def ratio(kpi: str, up: float, down: float) -> KpiValue:
        value = up / down if down and coverage else float("nan")
        final = window.end_ns <= NOW_NS
        return KpiValue(
            path, kpi, window.kind, window.start_ns, window.end_ns, value, up, down, coverage, 120, final
        )  # fmt: skip

    def amount(kpi: str, count: float) -> KpiValue:
        return KpiValue(path, kpi, window.kind, window.start_ns, window.end_ns, count, count, 0.0, coverage, 60, False)

    made = PLANT.asset(path).cycle_s["*"]
    return [
        ratio("trs", t_u, t_r),
        ratio("do", t_f, t_r),
        ratio("tp", t_n, t_f),
        ratio("tq", t_u, t_n),
        amount("opening_time", (end - window.start_ns) / SECOND_NS),
        amount("required_time", needed),
        amount("unknown_time", needed - t_r),
        amount("running_time", t_f),
        amount("breakdown_time", (t_r - t_f) * 0.75),
        amount("micro_stop_time", (t_r - t_f) * 0.25),
        amount("parts", t_n // made),
        amount("parts_good", t_u // made),
    ]


def _link(seeded: Seeded, chance: random.Random, every_ns: int) -> None:
    samples = [probe(time, chance) for time in range(NOW_NS - HOUR_NS, NOW_NS, every_ns)]
    radio = {"rsrp": -84.0, "rsrq": -11.2, "sinr": 17.4, "cqi": 12.0, "throughput_down": 412.5}
    samples += [Sample(NOW_NS - 2 * SECOND_NS, LINK, metric, value) for metric, value in radio.items()]
    samples.append(Sample(NOW_NS - HOUR_NS, LINK, "cell", 0.0, "n78-201"))
    seeded.store.write(samples)
    values = []
    for start in range(NOW_NS - 24 * HOUR_NS, NOW_NS, MINUTE_NS):
        load = 1 + 0.5 * ((start // HOUR_NS) % 8 == 3)
        for kpi, value in (("rtt_p50", 9 * load + chance.random()), ("rtt_p99", 24 * load + chance.expovariate(0.3))):
            if not NOW_NS - 9 * HOUR_NS <= start < NOW_NS - 8 * HOUR_NS:
                values.append(
                    KpiValue(LINK, kpi, "minute", start, start + MINUTE_NS, value, float("nan"), 0.0, 1.0, 600, True)
                )
    seeded.store.write_kpis(values, 2)


def probe(time_ns: int, chance: random.Random) -> Sample:
    """One round trip of a link that stumbles now and then."""
    minute = time_ns // MINUTE_NS
    if chance.random() < (0.05 if minute % 23 == 0 else 0.0004):
        return Sample(time_ns, LINK, "rtt_lost", 1.0)
    slow = chance.random() < 0.012
    return Sample(time_ns, LINK, "rtt", 8.2 + chance.gammavariate(2, 1.1) + (chance.expovariate(1 / 14) if slow else 0))
