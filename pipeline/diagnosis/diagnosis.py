"""A diagnosis: what is looked at, and what was found; from an event file or from a store."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import nan
from pathlib import Path

import numpy as np

from pipeline import recordings
from pipeline.diagnosis.finding import Finding
from pipeline.diagnosis.subject import Link, Machine, Source, Subject
from pipeline.diagnosis.table import findings
from pipeline.files.eventlog import EventLog
from pipeline.files.faults import Faults
from pipeline.files.guard import RefusedFileError
from pipeline.files.vocabulary import plain
from pipeline.kpis.evaluate import history_of
from pipeline.kpis.latency import coverage
from pipeline.kpis.link import LinkHistory, Probes
from pipeline.kpis.use_cases import USE_CASES
from pipeline.said import Said
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Series, Window

_LAG_HOURS = 6


@dataclass(frozen=True)
class Diagnosis:
    """Figures of machines and links over a window, findings, and how far the data can be trusted."""

    subject: Subject
    notes: tuple[Said, ...] = ()
    faults: Faults = field(default_factory=Faults)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The largest gain first."""
        return findings(self.subject)


def of_log(log: EventLog, path: Path, window: Window | None = None, links: Sequence[Link] = ()) -> Diagnosis:
    """Of an event file, over a window or all of it: the same figures as `km0 oee --events`; with links that were
    measured beside it. Raises DecodeError when no time is left."""
    return of_logs([log], path, window, links)


def lasting(logs: Sequence[EventLog], window: Window | None = None) -> list[EventLog]:
    """Those that speak of some time, of the window if one is asked for. Raises DecodeError when none does."""
    found = [log for log in logs if _spoken(log, window).seconds >= 1]
    if not found:
        raise RefusedFileError(Said(
            "the interval is empty: it ends before it starts, lies after the log, or all rows have the same time",
            "l'intervalle est vide : fini avant de commencer, après le journal, ou toutes les lignes ont la même heure",
        ))  # fmt: skip
    return found


def _spoken(log: EventLog, window: Window | None) -> Window:
    """The window as far as the log goes; without one, all of the log."""
    end_ns = log.span.end_ns
    return log.span if window is None else Window(min(window.start_ns, end_ns), min(window.end_ns, end_ns), window.kind)


def of_logs(
    logs: Sequence[EventLog], path: Path, window: Window | None = None, links: Sequence[Link] = ()
) -> Diagnosis:
    """As `of_log`, of a file of several machines, each over the time that the file speaks of it."""
    spoken = lasting(logs, window)
    spans = [_spoken(log, window) for log in spoken]
    plants = [log.plant() for log in spoken]
    plant = plants[0].model_copy(update={"assets": tuple(asset for one in plants for asset in one.assets)})
    machines = tuple(
        Machine(log.machine, plant, span, log.history(span), log.read) for log, span in zip(spoken, spans, strict=True)
    )
    faults = Faults()  # also of machines that are left out: their rows are rows of the file
    for log in logs:
        faults.merge(log.faults)
    source = Source(
        path.name, faults.rows, faults.count, faults.by_column.get(logs[0].config.time, 0), faults.skipped, faults.back,
        digest(path),
    )  # fmt: skip
    whole = Window(min(span.start_ns for span in spans), max(span.end_ns for span in spans))
    subject = Subject(whole, plant, machines, tuple(links), source, {})
    notes = [note for log in logs for note in log.notes_on(window or log.span)]
    if names := ", ".join(log.machine.name for log in logs if _spoken(log, window).seconds < 1):
        notes.append(
            Said(f"of one instant only, and left out: {names}", f"d'un seul instant, laissées de côté : {names}")
        )
    return Diagnosis(subject, tuple(dict.fromkeys(notes)), faults)


def of_store(store: Store, plant: Plant, assets: Sequence[str], window: Window, now_ns: int) -> Diagnosis:
    """Of assets of a plant over a window, as known at `now_ns`. Raises KeyError for a path that is not in the plant,
    StoreError as the store does."""
    window = Window(window.start_ns, max(window.start_ns, min(window.end_ns, now_ns)), window.kind)
    held: dict[str, list[str]] = {}
    for one in store.inventory():
        held.setdefault(one.asset, []).append(one.metric)
    machines, links, lags = [], [], {}
    for path in assets:
        asset = plant.asset(path)
        if asset.kind == "machine":
            history = history_of(store, plant, asset, window, now_ns, held.get(path, []))
            machines.append(Machine(asset, plant, window, history, partial(store.read, path)))
            lags[path] = _lag_s(store, asset, window)
        elif asset.kind == "link":
            read = partial(store.read, path)
            probes = LinkHistory(window, now_ns, read, USE_CASES.get(asset.use_case or "")).over(window)
            cells = store.read(path, "cell", window) if "cell" in held.get(path, []) else Series.empty()
            links.append(Link(asset, window, probes, cells))
    source = Source(plant.name)
    return Diagnosis(Subject(window, plant, tuple(machines), tuple(links), source, lags))


def link_of(path: Path, use_case: str | None, *, largest: int = recordings.LONGEST_BYTES) -> Link:
    """A link as ping, irtt or a table recorded it, in a file of at most `largest` bytes. Raises RefusedFileError when
    the file tells no round trips with times, or nobody knows the use case."""
    if use_case is not None and use_case not in USE_CASES:
        names = ", ".join(USE_CASES)
        raise RefusedFileError(Said(
            f"there is no use case {use_case!r}; there are {names}",
            f"il n'y a pas d'application {use_case!r} ; il y a {names}",
        ))  # fmt: skip
    found = next((one for one in recordings.read(path, largest) if not np.isnan(one.rtt_ms).all()), None)
    if found is None or found.sent_ns is None or not len(found.sent_ns):
        raise recordings.RecordingError(path, Said(
            "it tells no round trips with their times (ping -D writes them)",
            "il ne donne pas d'allers-retours avec leurs heures (ping -D les écrit)",
        ))  # fmt: skip
    asset = Asset(path=f"site/{_slug(path.stem)}", name=path.name[:80], kind="link", use_case=use_case)
    window = Window(int(found.sent_ns.min()), int(found.sent_ns.max()) + 1)
    probes = Probes(
        found.sent_ns, found.rtt_ms, coverage(found.sent_ns, window), found.fate, found.up_ms[~np.isnan(found.up_ms)],
        found.down_ms[~np.isnan(found.down_ms)], nan if found.error_ms is None else found.error_ms,
        nan if found.duplicates is None else float(found.duplicates), nan, USE_CASES.get(use_case or ""),
    )  # fmt: skip
    return Link(asset, window, probes)


def _slug(name: str) -> str:
    return plain(name).replace(" ", "-")[:60].strip("-") or "link"


def _lag_s(store: Store, asset: Asset, window: Window) -> float:
    """How long after its time a state arrived [s], the median of the last hours; NaN where nobody said."""
    recent = Window(max(window.start_ns, window.end_ns - _LAG_HOURS * 3600 * SECOND_NS), window.end_ns)
    said = [
        (one.received_ns - one.time_ns) / SECOND_NS
        for one in store.samples(asset.path, "state", recent)
        if one.received_ns
    ]
    return float(np.median(said)) if len(said) >= 5 else nan


def digest(path: Path) -> str:
    """SHA-256 of a file, so that a report names the very bytes it is of."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
