"""The probe beside irtt: what each adds to a link's delay, what a packet costs, how fast it can be sent.

Ours and irtt's clients run in turn against their own reflector or server, each in processes of its own, directly over
loopback and over one and the same simulated link of 10 ms each way, which adds nothing else.
"""

import json
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
from typing import Final

from benchmarks import Row
from collectors.probe.outcome import Outcome
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.wire import Wire
from simulators.radio_path import Direction, LinkConfig
from simulators.udp_link import UdpLink

ROUNDS: Final = 3
PACKETS: Final = 600
INTERVAL_MS: Final = 10
LINK: Final = LinkConfig(
    up=Direction(base_ms=10, slot_ms=0, harq=0, tail=0, loss_starts=0),
    down=Direction(base_ms=10, slot_ms=0, harq=0, tail=0, loss_starts=0),
    handover_s=0,
)
_PROBE: Final = """
import json, resource, sys
from benchmarks.probe import measure
rtt = measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([rtt, used.ru_utime + used.ru_stime]))
"""


def measure(port: int, packets: int, interval_ms: float, busy: bool = False) -> list[float]:
    """Round trips [ms] of so many packets, in this process; with another thread computing when `busy`."""
    outcomes: list[Outcome] = []
    sender = Sender(
        Session(1_000_000_000),
        Wire(("127.0.0.1", 0), transmit=True),
        ("127.0.0.1", port),
        int(interval_ms * 1e6),
        take=outcomes.extend,
        stranger=lambda *_: None,
        unreachable=lambda _: None,
    )
    done = threading.Event()
    work = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(done.is_set, True)])
    if busy:
        work.start()
    sender.run(packets)
    done.set()
    if busy:
        work.join()
    sender.close()
    return [outcome.rtt_ns / 1e6 for outcome in outcomes if outcome.rtt_ns is not None]


def _ours(port: int, packets: int, interval_ms: float) -> tuple[list[float], float]:
    start = _cost_of_starting()
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(port), str(packets), str(interval_ms)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rtt, cpu_s = json.loads(done.stdout)
    return rtt, max(0.0, cpu_s - start)


def _cost_of_starting() -> float:
    """CPU time [s] of importing what the probe needs, which it pays once and not per packet."""
    code = (
        "import benchmarks.probe, resource; used = resource.getrusage(resource.RUSAGE_SELF);"
        "print(used.ru_utime + used.ru_stime)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _irtt(port: int, packets: int, interval_ms: float) -> tuple[list[float], float]:
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
    return [trip["delay"]["rtt"] / 1e6 for trip in trips if trip["lost"] == "false"], cpu_s


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


def _figures(rtt: list[float]) -> dict[str, float]:
    ordered = sorted(rtt)
    return {
        "p50 ms": statistics.median(ordered),
        "p99 ms": ordered[int(len(ordered) * 0.99)],
        "max ms": ordered[-1],
    }


def _compare(
    where: str,
    contestants: dict[str, Callable[[], tuple[list[float], float | None]]],
    links: dict[str, UdpLink] | None = None,
) -> list[Row]:
    """Medians over the rounds; with links, also how much more than the link's own delay the median round trip is."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            started_ns = time.time_ns()
            rtt, cpu_s = run()
            found = _figures(rtt) | {"received": float(len(rtt))}
            if cpu_s is not None:
                found["CPU ms per 1000 packets"] = cpu_s * 1e6 / PACKETS
            if links is not None:
                truth = links[name].truth().within(started_ns, time.time_ns())
                in_link = sum(statistics.median(truth.delays_ms(way)) for way in ("up", "down"))
                found["p50 over the link's ms"] = found["p50 ms"] - in_link
            runs[name].append(found)
    return [
        {"where": where, "what": name}
        | {key: round(statistics.median(each[key] for each in found), 4) for key in found[0]}
        | {"sent": PACKETS, "rounds": ROUNDS}
        for name, found in runs.items()
    ]


def _steady_rate(port: int) -> list[Row]:
    """Packets a second for two seconds: what came back, and how many slots of the timetable were missed."""
    rows: list[Row] = []
    for rate in (1000, 2000, 5000, 10_000):
        started = time.monotonic()
        rtt = measure(port, 2 * rate, 1000 / rate)
        seconds = time.monotonic() - started
        found = _figures(rtt)
        rows.append(
            {
                "where": "loopback, as fast as asked",
                "what": f"km0 at {rate} packets/s",
                **{key: round(value, 4) for key, value in found.items()},
                "sent": 2 * rate,
                "received": len(rtt),
                "packets/s": round(2 * rate / seconds),
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
                "km0, its process computing": lambda: (measure(ours, PACKETS, INTERVAL_MS, busy=True), None),
            },
        )
        with UdpLink(LINK, 1, ("127.0.0.1", theirs)) as to_irtt, UdpLink(LINK, 1, ("127.0.0.1", ours)) as to_us:
            rows += _compare(
                f"link of 20 ms, every {INTERVAL_MS} ms",
                {
                    "irtt": lambda: _irtt(to_irtt.port, PACKETS, INTERVAL_MS),
                    "km0": lambda: _ours(to_us.port, PACKETS, INTERVAL_MS),
                },
                {"irtt": to_irtt, "km0": to_us},
            )
        rows += _steady_rate(ours)
    return rows
