"""The sender's process: what ends it, what follows when it ends by itself, and where it measures when a host moves."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collectors.probe.address import Target
from collectors.probe.config import ProbeConfig
from collectors.probe.probe import Probe
from collectors.retry import keep_running
from simulators.echo_reflector import EchoReflector
from telemetry.errors import SourceError
from telemetry.health import Component, Health
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

ASSET = "km0/network/5g/link-1"


def config(port: int, cpu: int | None = None, priority: int = 0) -> ProbeConfig:
    return ProbeConfig(
        kind="probe",
        asset=ASSET,
        host="127.0.0.1",
        port=port,
        interval_ms=10,
        timeout_ms=100,
        cpu=cpu,
        priority=priority,
    )


def senders(parent: int) -> list[int]:
    """The processes of senders that a process has started."""
    found = [int(pid) for task in Path(f"/proc/{parent}/task").glob("*/children") for pid in task.read_text().split()]
    return [pid for pid in found if b"collectors.probe.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def kept(probe: Probe, component: Component, sink: MemorySink) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_running(probe, sink, component))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_sender_that_crashes_is_started_again() -> None:
    """Killed, the sender is a failed source with its exit code; the retry loop starts another, which measures on, and
    what was measured before is kept. In the end none is left."""
    sink, component = MemorySink(), Health().component("probe")
    with EchoReflector() as reflector:
        probe = Probe(config(reflector.address[1]), component)
        async with kept(probe, component, sink):
            await sink.until(samples=20)
            (first,) = senders(os.getpid())
            os.kill(first, signal.SIGKILL)
            await until(lambda: component.counted("reconnects") == 1)
            assert "ended by itself, with code -9" in component.snapshot()["detail"]
            already = len(sink.samples)
            await sink.until(samples=already + 100)
            (second,) = senders(os.getpid())
            assert second != first
    assert not alive(first)
    assert not alive(second)
    assert {sample.metric for sample in sink.samples} >= {"rtt"}


def test_a_sender_is_soon_there() -> None:
    """Its process loads its own few modules: neither numpy nor the sections of a plant file, which take most of a
    second."""
    script = "import collectors.probe.child, sys; print(sorted({'numpy', 'pydantic'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_sender_ends_with_its_parent() -> None:
    """A collector that is killed with -9 leaves no sender behind."""
    script = (
        "import asyncio, sys;"
        "from tests.contracts.memory import MemorySink;"
        "from tests.collectors.probe.test_process import config;"
        "from collectors.probe.probe import Probe;"
        "from telemetry.health import Health;"
        "asyncio.run(Probe(config(int(sys.argv[1])), Health().component('probe')).run(MemorySink()))"
    )
    with EchoReflector() as reflector:
        parent = subprocess.Popen([sys.executable, "-c", script, str(reflector.address[1])])
        try:
            deadline = time.monotonic() + 60
            while reflector.received < 5:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            (sender,) = senders(parent.pid)
        finally:
            parent.kill()
            parent.wait(10)
        deadline = time.monotonic() + 30
        while alive(sender):
            assert time.monotonic() < deadline, "the sender goes on without its parent"
            time.sleep(0.02)


async def test_bound_to_a_processor() -> None:
    """The thread that measures is bound to the processor of the settings, and nothing of ours is."""
    before = os.sched_getaffinity(0)
    sink, component = MemorySink(), Health().component("probe")
    with EchoReflector() as reflector:
        async with kept(Probe(config(reflector.address[1], cpu=0), component), component, sink):
            await sink.until(samples=5)
            (sender,) = senders(os.getpid())
            assert os.sched_getaffinity(sender) == {0}
            assert os.sched_getaffinity(0) == before


async def test_real_time_priority() -> None:
    """The thread that measures has the real-time priority of the settings, and nothing of ours has; where the system
    does not allow it, the reason and the way out are said."""
    sink, component = MemorySink(), Health().component("probe")
    with EchoReflector() as reflector:
        async with kept(Probe(config(reflector.address[1], priority=7), component), component, sink):
            await until(lambda: bool(sink.samples) or component.counted("reconnects") > 0)
            if component.counted("reconnects"):
                assert "CAP_SYS_NICE" in component.snapshot()["detail"]
                return
            (sender,) = senders(os.getpid())
            assert os.sched_getscheduler(sender) == os.SCHED_FIFO
            assert os.sched_getparam(sender).sched_priority == 7
            assert os.sched_getscheduler(0) == os.SCHED_OTHER


async def test_a_processor_that_is_not_there() -> None:
    """The sender's own words reach the health page: which processor, and what to do."""
    probe = Probe(config(9, cpu=1023), Health().component("probe"))
    with pytest.raises(SourceError, match=r"processor 1023 or priority 0 is not to be had .*: leave them out"):
        await probe.run(MemorySink())


async def test_a_host_that_moves() -> None:
    """When the name of the reflector gets another address, packets go there; while nobody can say, they go on as
    before. What was measured at the first address is kept."""
    sink, component = MemorySink(), Health().component("probe")
    with EchoReflector() as first, EchoReflector() as second:
        known: list[EchoReflector] = [first]

        async def resolve(host: str, port: int) -> list[Target]:
            if not known:
                raise SourceError(f"{host} has no address")
            return [Target(2, one.address) for one in known]

        probe = Probe(config(first.address[1]), component, resolve=resolve, resolve_every_s=0.05)
        async with kept(probe, component, sink):
            await sink.until(samples=20)
            known.clear()
            already = first.received
            await until(lambda: first.received > already + 20)
            known.append(second)
            await until(lambda: second.received > 20)
            already, measured = first.received, len(sink.samples)
            await sink.until(samples=measured + 50)
            assert first.received == already
    assert component.counted("address_changes") == 1
    assert component.counted("reconnects") == 0
