"""`km0 probe HOST` and `km0 reflect`: measure a link by hand, with the sender that otherwise runs for ever."""

import json
import signal
import socket
import sys
import threading
import time
from array import array
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from collectors.probe.outcome import Outcome
from collectors.probe.reflector import ReflectorConfig, ReflectorServer
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.stamp import PORT
from collectors.probe.timekeeping import read_state
from collectors.probe.wire import Address, Wire
from km0.console import err, out
from km0.latency import show, show_use_cases
from pipeline.kpis.histogram import Histogram
from pipeline.recordings.recording import ANSWERED, LOST, LOST_DOWN, LOST_UP, Recording
from pipeline.recordings.report import report, use_cases
from telemetry.config import Secret
from telemetry.errors import ConfigError, SourceError

_FATE: Final = {"": LOST, "up": LOST_UP, "down": LOST_DOWN}
_BARS: Final = 12
_WIDTH: Final = 48


class Ask(StrEnum):
    """Extensions of RFC 8972; see collectors.probe.asked."""

    DIRECT_MEASUREMENT = "direct-measurement"
    CLASS_OF_SERVICE = "class-of-service"


def probe(
    host: Annotated[str, typer.Argument(help="HOST, HOST:PORT or [IPv6]:PORT of a STAMP or TWAMP-Light reflector.")],
    interval: Annotated[float, typer.Option("--interval", "-i", min=1, max=60_000, help="Between packets [ms].")] = 100,
    count: Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many packets.")] = None,
    timeout: Annotated[float, typer.Option(min=1, max=60_000, help="Later answers count as lost [ms].")] = 1000,
    size: Annotated[int, typer.Option(min=0, max=8972, help="UDP payload [byte]; 0: the smallest.")] = 0,
    dscp: Annotated[int, typer.Option(min=0, max=63, help="DSCP of the packets; 46 is expedited forwarding.")] = 0,
    ssid: Annotated[int, typer.Option(min=0, max=65535, help="Session identifier (RFC 8972).")] = 0,
    key_file: Annotated[Path | None, typer.Option(help="File with the shared key: packets are authenticated.")] = None,
    stateful: Annotated[
        bool | None, typer.Option("--stateful/--stateless", help="What the reflector is; else found out.")
    ] = None,
    extensions: Annotated[
        list[Ask] | None,
        typer.Option("--extension", help="Sent with each packet (RFC 8972); several times for several."),
    ] = None,
    one_way_error: Annotated[float, typer.Option(min=0.001, help="Worst clocks for one-way delays [ms].")] = 1.0,
    cases: Annotated[bool, typer.Option("--use-cases", help="Which applications of TS 22.104 it would carry.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end, nothing before it.")] = False,
) -> None:
    """Measure a network link until Ctrl-C, or for --count packets. Exit code 1 when nothing was answered."""
    target_name, port = _target(host)
    family, target = _resolve(target_name, port)
    try:
        wire = Wire(("::" if family == socket.AF_INET6 else "0.0.0.0", 0), family, dscp=dscp, transmit=True)  # noqa: S104 — answers come to where packets are sent from
    except OSError as error:
        raise SourceError(f"no UDP socket: {error.strerror}") from error
    session = Session(
        int(timeout * 1e6),
        size=size,
        ssid=ssid,
        key=None if key_file is None else Secret(file=key_file).read().encode(),
        one_way_error_ns=int(one_way_error * 1e6),
        stateful=stateful,
        extensions=tuple(each.value for each in extensions or ()),
        dscp=dscp,
    )
    session.keep_time(read_state())
    packets = _Packets()
    complaints: list[str] = []
    sender = Sender(
        session,
        wire,
        target,
        int(interval * 1e6),
        take=packets.take,
        stranger=lambda _, reason: complaints.append(reason) if len(complaints) < 100 else None,
        unreachable=lambda reason: complaints.append(reason) if len(complaints) < 100 else None,
    )
    where = f"{target_name} ({target[0]}) port {port}"
    _run(sender, count, packets, where, live=not as_json and out.is_terminal)
    found = report(packets.recording(session)) | {
        "target": where,
        "events": {name: number for name, number in session.counts.items() if number},
        "complaints": list(dict.fromkeys(complaints))[:10],
    }
    if session.one_way_refusal:
        found["cannot_tell"].append(f"no one-way delays: {session.one_way_refusal}")
    if cases:
        found["use_cases"] = use_cases(packets.recording(session))
    if as_json:
        sys.stdout.write(json.dumps(found, allow_nan=False) + "\n")
    else:
        show({"file": where} | found)
        for complaint in found["complaints"]:
            out.print(f"  ! {complaint}", style="yellow", markup=False)
        if cases:
            show_use_cases(found["use_cases"])
    if not found["received"]:
        raise typer.Exit(1)


def reflect(
    bind: Annotated[str, typer.Option(help="Local address; 0.0.0.0 or :: for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port; 0: any that is free.")] = PORT,
    stateless: Annotated[bool, typer.Option("--stateless", help="Copy the sender's numbers.")] = False,
    key_file: Annotated[Path | None, typer.Option(help="File with the shared key: only signed packets.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Answers to one source address [1/s].")] = 2000,
    dscp: Annotated[int, typer.Option(min=0, max=63, help="DSCP of the answers.")] = 0,
) -> None:
    """Answer test packets (STAMP, RFC 8762) until Ctrl-C. Never answers more than it receives."""
    key = None if key_file is None else Secret(file=key_file)
    server = ReflectorServer(
        ReflectorConfig(bind=bind, port=port, stateful=not stateless, key=key, rate=rate, dscp=dscp)
    )
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, lambda *_: server.stop())
    err.print(f"reflecting on {server.address[0]} port {server.address[1]}; Ctrl-C ends it", markup=False)
    server.run()
    counted = ", ".join(f"{name} {number:,}" for name, number in sorted(server.reflector.counts.items()))
    err.print(counted or "nothing came", markup=False)


def _target(host: str) -> tuple[str, int]:
    name, bracket, rest = host.removeprefix("[").partition("]") if host.startswith("[") else ("", "", "")
    if not bracket:
        name, rest = (host, "") if host.count(":") > 1 else (host.partition(":")[0], host.partition(":")[2])
    number = rest.removeprefix(":")
    if not name or (number and not (number.isdigit() and 0 < int(number) < 65536)):
        raise ConfigError(f"{host!r} is no target: write HOST, HOST:PORT or [IPv6]:PORT")
    return name, int(number or PORT)


def _resolve(host: str, port: int) -> tuple[int, Address]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is no name or address of a host: is there a dot too many?") from error
    except OSError as error:
        raise SourceError(f"{host} has no address: {error.strerror}") from error
    return family, address  # type: ignore[return-value]  # typeshed: any address family


def _run(sender: Sender, count: int | None, packets: "_Packets", where: str, *, live: bool) -> None:
    thread = threading.Thread(target=sender.run, args=(count,), name="sender")
    previous = signal.signal(signal.SIGINT, lambda *_: sender.stop())
    thread.start()
    try:
        if live:
            with Live(packets.view(where), refresh_per_second=4, transient=True) as display:
                while thread.is_alive():
                    thread.join(0.25)
                    display.update(packets.view(where))
        else:
            while thread.is_alive():
                thread.join(0.2)
    finally:
        signal.signal(signal.SIGINT, previous)
        sender.stop()
        thread.join()
        sender.close()


class _Packets:
    """What became of every packet, in columns of 8 bytes; filled by the sender's thread, read by this one."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._sequence, self._sent = array("q"), array("q")
        self._rtt, self._up, self._down = array("d"), array("d"), array("d")
        self._fate = array("b")
        self._row: dict[int, int] = {}
        self._histogram = Histogram.of([])

    def take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            lost = outcome.rtt_ns is None
            fate = _FATE[outcome.lost_way] if lost else ANSWERED
            if lost and outcome.sequence in self._row:
                self._fate[self._row.pop(outcome.sequence)] = fate  # told again, with its direction
                continue
            if lost and fate == LOST:
                self._row[outcome.sequence] = len(self._fate)
            self._sequence.append(outcome.sequence)
            self._sent.append(outcome.sent_ns)
            for column, value in (
                (self._rtt, outcome.rtt_ns),
                (self._up, outcome.up_ns),
                (self._down, outcome.down_ns),
            ):
                column.append(float("nan") if value is None else value / 1e6)
            self._fate.append(fate)
        self._histogram += Histogram.of([float("nan") if one.rtt_ns is None else one.rtt_ns / 1e6 for one in outcomes])

    def recording(self, session: Session) -> Recording:
        """In order of sending, as a file would hold it."""
        order = np.argsort(np.array(self._sequence))
        fate = np.array(self._fate, np.int8)
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size)
        arrived = place[np.flatnonzero(fate == ANSWERED)]
        known = bool(session.counts["lost_up"] + session.counts["lost_down"]) or not (fate != ANSWERED).any()
        notes = [] if known else ["the direction of losses: the reflector does not number its answers itself"]
        return Recording(
            "km0 probe",
            fate[order],
            np.array(self._rtt)[order],
            np.array(self._up)[order],
            np.array(self._down)[order],
            arrived,
            "both" if known else "unknown",
            np.array(self._sent, np.int64)[order],
            error_ms=None if session.clock_error_ns is None else session.clock_error_ns / 1e6,
            duplicates=session.counts["duplicate"],
            notes=tuple(notes),
        )

    def view(self, where: str) -> Group:
        """What is shown while measuring."""
        seen = self._histogram
        sent = seen.size + seen.lost
        head = Text(
            f"{where}  {time.monotonic() - self._started:.0f} s  sent {sent:,}  lost {seen.lost:,}"
            + (f" ({seen.lost / sent * 100:.3g} %)" if sent else "")
        )
        table = Table("min", "p50", "p99", "p99.9", "max [ms]", box=None)
        values = (seen.minimum, *(seen.percentile(q) for q in (0.5, 0.99, 0.999)), seen.maximum)
        table.add_row(*("–" if np.isnan(value) else f"{value:.3f}" for value in values))
        return Group(head, table, *_bars(seen))


def _bars(seen: Histogram) -> list[Text]:
    """The histogram drawn in at most _BARS rows of equal ratio."""
    if seen.size == 0 or seen.minimum <= 0:
        return []
    edges = np.geomspace(seen.minimum, max(seen.maximum, seen.minimum * 1.01), _BARS + 1)
    above = np.array([seen.above(edge) - seen.lost for edge in edges[1:-1]])
    counts = np.diff(np.concatenate(([0], seen.size - above, [seen.size])))
    return [
        Text(f"{edge:9.3f} ms {'█' * round(_WIDTH * count / counts.max())} {count:,}")
        for edge, count in zip(edges, counts.tolist(), strict=False)
    ]
