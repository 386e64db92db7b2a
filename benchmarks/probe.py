"""The probe beside irtt: what each adds to a link's delay, what a packet costs, how fast it can be sent.

Ours and irtt's clients run in turn against their own reflector or server, each in processes of its own, directly over
loopback and over one and the same simulated link of 10 ms each way, which adds nothing else.

Over the link the relay's own delay, a few tenths of a millisecond late now and then, would drown both. It keeps a
journal of when each packet came and left, so what it did to a packet is taken from that packet's round trip; the rest
is what the tool, its peer and the loopback added.
"""

import asyncio
import json
import math
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import Row
from collectors.probe.frames import Setup
from collectors.probe.outcome import Outcome
from collectors.probe.process import SenderProcess
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.wire import Wire
from simulators.radio_path import Direction, LinkConfig
from simulators.udp_link import Passage, Truth, UdpLink

ROUNDS: Final = 3
PACKETS: Final = 600
INTERVAL_MS: Final = 10
LINK: Final = LinkConfig(
    up=Direction(base_ms=10, slot_ms=0, harq=0, tail=0, loss_starts=0),
    down=Direction(base_ms=10, slot_ms=0, harq=0, tail=0, loss_starts=0),
    handover_s=0,
)
_PROBE: Final = """
import json, sys
from benchmarks.probe import measure
print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
"""


class Measured(NamedTuple):
    """Round trips [ms] by number of packet; slots of the timetable that were skipped; packets without an answer; CPU
    time [s]: ours from the first packet to the last outcome, irtt's with its start, a few milliseconds."""

    rtt_ms: dict[int, float]
    skipped: int
    lost: int
    cpu_s: float = math.nan


def measure(port: int, packets: int, interval_ms: float) -> Measured:
    """So many packets, sent by this process."""
    outcomes: list[Outcome] = []
    session = Session(1_000_000_000)
    sender = Sender(
        session,
        Wire(("127.0.0.1", 0), transmit=True),
        ("127.0.0.1", port),
        int(interval_ms * 1e6),
        take=outcomes.extend,
        stranger=lambda *_: None,
        unreachable=lambda _: None,
    )
    before_s = time.process_time()
    sender.run(packets)
    cpu_s = time.process_time() - before_s
    sender.close()
    trips = {outcome.sequence: outcome.rtt_ns / 1e6 for outcome in outcomes if outcome.rtt_ns is not None}
    return Measured(trips, session.counts["skipped"], session.counts["lost"], cpu_s)


def _collected(port: int, packets: int, interval_ms: float) -> Measured:
    """As the collector measures, its own process computing all the while."""

    async def collect() -> list[Outcome]:
        setup = Setup(
            socket.AF_INET, ("127.0.0.1", port), "127.0.0.1", int(interval_ms * 1e6), 10**9, 0, 0, 0, None, None,
            10**6, None, 0, 10 * packets,
        )  # fmt: skip
        found: list[Outcome] = []
        async with SenderProcess(setup) as sender:
            while len(found) < packets and (told := await sender.told()) is not None:
                found += told.outcomes
        return found[:packets]

    done = threading.Event()
    work = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(done.is_set, True)])
    work.start()
    try:
        outcomes = asyncio.run(collect())
    finally:
        done.set()
        work.join()
    trips = {outcome.sequence: outcome.rtt_ns / 1e6 for outcome in outcomes if outcome.rtt_ns is not None}
    return Measured(trips, 0, packets - len(trips))


def _ours(port: int, packets: int, interval_ms: float) -> Measured:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(port), str(packets), str(interval_ms)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rtt, skipped, lost, cpu_s = json.loads(done.stdout)
    return Measured({int(number): ms for number, ms in rtt.items()}, skipped, lost, cpu_s)


def _irtt(port: int, packets: int, interval_ms: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "irtt.json"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            ["irtt", "client", "-i", f"{interval_ms}ms", "-d", f"{packets * interval_ms}ms", "-o", file, "-Q",
             f"127.0.0.1:{port}"],
            check=True, capture_output=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        trips = json.loads(file.read_text())["round_trips"]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answered = {trip["seqno"]: trip["delay"]["rtt"] / 1e6 for trip in trips if trip["lost"] == "false"}
    return Measured(answered, packets - len(trips), len(trips) - len(answered), cpu_s)


@contextmanager
def _program(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    try:
        yield
    finally:
        process.terminate()
        process.wait(5)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _figures(values: list[float], of: str = "") -> dict[str, float]:
    ordered = sorted(values)
    return {
        f"p50{of} ms": statistics.median(ordered),
        f"p99{of} ms": ordered[int(len(ordered) * 0.99)],
        f"max{of} ms": ordered[-1],
    }


def _number_of_ours(passage: Passage) -> int:
    """A STAMP packet's number (RFC 8762): an answer has it behind its own fields."""
    at = 0 if passage.way == "up" else 24
    return int.from_bytes(passage.head[at : at + 4], "big")


def _number_of_irtts(passage: Passage) -> int:
    """An irtt packet's number, behind magic, flags and connection token; −1 of one that opens or closes."""
    return -1 if passage.head[3] & 5 else int.from_bytes(passage.head[12:16], "little")


def _in_link_ms(truth: Truth, number: Callable[[Passage], int]) -> dict[int, float]:
    """What the relay did to each packet that came back, both ways together [ms]."""
    ways: dict[str, dict[int, float]] = {"up": {}, "down": {}}
    for passage in truth.passages:
        if passage.left_ns:
            ways[passage.way].setdefault(number(passage), (passage.left_ns[0] - passage.came_ns) / 1e6)
    return {each: ways["up"][each] + ways["down"][each] for each in ways["up"].keys() & ways["down"].keys()}


def _compare(
    where: str,
    contestants: dict[str, Callable[[], Measured]],
    links: dict[str, tuple[UdpLink, Callable[[Passage], int]]] | None = None,
) -> list[Row]:
    """Medians over the rounds; with links, of what is left of each round trip without the link's own share."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            started_ns = time.time_ns()
            measured = run()
            found: dict[str, float] = {}
            if links is None:
                found |= _figures(list(measured.rtt_ms.values()))
            else:
                link, number = links[name]
                in_link = _in_link_ms(link.truth().within(started_ns, time.time_ns()), number)
                found |= _figures([ms - in_link[each] for each, ms in measured.rtt_ms.items()], " added")
                found["p50 in the relay ms"] = statistics.median(in_link.values())
            found["lost"] = float(measured.lost)
            if not math.isnan(measured.cpu_s):
                found["CPU ms per 1000 packets"] = measured.cpu_s * 1e6 / PACKETS
            runs[name].append(found)
    return [
        {"where": where, "what": name}
        | {key: round(statistics.median(each[key] for each in found), 4) for key in found[0]}
        | {"sent": PACKETS, "rounds": ROUNDS}
        for name, found in runs.items()
    ]


def _steady_rate(ours: int, theirs: int) -> list[Row]:
    """Packets a second for three seconds: how many left, and how many of these never came back."""
    rows: list[Row] = []
    for rate in (500, 1000, 2000, 4000):
        packets = 3 * rate
        for name, port, run in (("irtt", theirs, _irtt), ("km0", ours, _ours)):
            measured = run(port, packets, 1000 / rate)
            sent = len(measured.rtt_ms) + measured.lost
            rows.append(
                {
                    "where": f"loopback, {rate} packets/s asked",
                    "what": name,
                    **{key: round(value, 4) for key, value in _figures(list(measured.rtt_ms.values())).items()},
                    "lost": measured.lost,
                    "CPU ms per 1000 packets": round(measured.cpu_s * 1e6 / packets, 2),
                    "sent": sent,
                    "packets/s": round(rate * sent / (sent + measured.skipped)),
                }
            )
    return rows


def run() -> list[Row]:
    """Rows for loopback, the link, a busy process, and steady rates."""
    if shutil.which("irtt") is None:
        return [{"where": "–", "what": "irtt is not installed: apt-get install irtt"}]
    ours, theirs = _free_port(), _free_port()
    environment = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), environment]))
    reflect = (
        "from collectors.probe.reflector import ReflectorConfig, ReflectorServer; import sys;"
        "ReflectorServer(ReflectorConfig(port=int(sys.argv[1]), rate=1e6, total_rate=1e6)).run()"
    )
    with (
        _program(sys.executable, "-c", reflect, str(ours)),
        _program("irtt", "server", "-b", f"127.0.0.1:{theirs}", "-i", "0"),
    ):
        rows = _compare(
            f"loopback, every {INTERVAL_MS} ms",
            {
                "irtt": lambda: _irtt(theirs, PACKETS, INTERVAL_MS),
                "km0": lambda: _ours(ours, PACKETS, INTERVAL_MS),
                "km0 as a collector whose process computes": lambda: _collected(ours, PACKETS, INTERVAL_MS),
            },
        )
        with UdpLink(LINK, 1, ("127.0.0.1", theirs)) as to_irtt, UdpLink(LINK, 1, ("127.0.0.1", ours)) as to_us:
            rows += _compare(
                f"link of 20 ms, every {INTERVAL_MS} ms",
                {
                    "irtt": lambda: _irtt(to_irtt.port, PACKETS, INTERVAL_MS),
                    "km0": lambda: _ours(to_us.port, PACKETS, INTERVAL_MS),
                },
                {"irtt": (to_irtt, _number_of_irtts), "km0": (to_us, _number_of_ours)},
            )
        rows += _steady_rate(ours, theirs)
    return rows
