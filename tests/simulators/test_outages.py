"""Faults that the owner of a plant makes, and those of its uplinks: they happen, and are counted."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable

import pytest

from simulators import outages
from simulators.breaking import Breaking
from simulators.faults import Done, Fault
from simulators.journal import read_journal
from simulators.pytest_plugin import PlantUnderTest
from simulators.sparkplug_edge import SparkplugEdge
from telemetry.errors import ConfigError
from tests.simulators.sparkplug_judge import Ear
from tests.support import Mosquitto

T0 = 1_795_000_000 * 10**9
MINUTE_NS = 60 * 10**9
LINES = {"line-1": "km0/packaging/line-1/filler-1", "line-2": "km0/packaging/line-2/filler-1"}


def test_a_frozen_process_stands_still_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells its parent that it was stopped, and then that it was continued."""
    monkeypatch.setattr(outages, "FROZEN_S", 1.0)
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        made = outages.Outages([Fault(kind="frozen", at_min=1)], sleeper.pid, None)
        frost = threading.Thread(target=made.make, args=(0,))
        frost.start()
        assert os.WIFSTOPPED(os.waitpid(sleeper.pid, os.WUNTRACED)[1])
        assert os.WIFCONTINUED(os.waitpid(sleeper.pid, os.WCONTINUED)[1])
        frost.join(20)
        sleeper.kill()
    assert made.done.made == {0: 1}


def test_a_plant_of_a_test_has_its_faults(
    km0_plant: Callable[..., PlantUnderTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broker and process fail while it plays: all is published, and each fault was made; one after the end never was.
    What cannot be made there is refused before anything is started."""
    monkeypatch.setattr(outages, "FROZEN_S", 0.2)
    faults = tuple(Fault(kind=kind, at_min=at) for kind, at in (("broker-restart", 5), ("frozen", 9), ("frozen", 61)))
    plant = km0_plant("wrong-reference-cycle", hours=1, faults=faults)
    assert plant.play() == len(read_journal(plant.journal).published) > 500
    assert plant.made == (1, 1, 0)
    with pytest.raises(ConfigError, match="'half-open' is made by `km0 verify` alone"):
        km0_plant("wrong-reference-cycle", faults=(Fault(kind="half-open", at_min=5),))


async def test_an_uplink_is_lost_by_the_line_that_it_concerns(mosquitto: Mosquitto) -> None:
    """Of two edge nodes the one whose asset is named dies, and is counted; the other says nothing of a death."""
    faults = [Fault(kind="uplink-lost", at_min=10, for_min=5, asset=LINES["line-2"])]
    edges = [
        SparkplugEdge("127.0.0.1", mosquitto.port, line, "gateway", {"filler-1": (path, ("parts",))}, lambda *_: None)
        for line, path in LINES.items()
    ]
    done = Done()
    breaking = Breaking(faults, T0, None, [], edges, done)
    with Ear(mosquitto.port, "spBv1.0/+/NDEATH/#") as ear:
        for edge in edges:
            await edge.start(20)
            await edge.followed(20)
        await breaking.until(T0 + 10 * MINUTE_NS, None)
        assert (done.made, ear.heard) == ({}, [])
        await breaking.until(T0 + 11 * MINUTE_NS, None)
        await asyncio.to_thread(ear.wait, lambda: len(ear.heard) == 1)
        await breaking.until(T0 + 16 * MINUTE_NS, None)
        assert done.made == {0: 1}
        assert [one.topic for one in ear.heard] == ["spBv1.0/line-2/NDEATH/gateway"]
        for edge in edges:
            await edge.settled()
            await edge.stop()
