"""A pytest plugin: `km0_plant` gives a test a seeded plant on real wires, and its truth. See docs/simulators.md.

Loaded by pytest itself wherever km0-telemetry is installed (entry point `pytest11`). What is started for a test ends
with it.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from simulators.broker import Broker
    from simulators.nursery import Nursery
    from simulators.scenario import Scenario

_STOP_S: Final = 10.0


class PlantUnderTest:
    """A plant in a process of its own, with its wires open and nothing said yet.

    `host`, `port`: the MQTT broker (None in a plant without MQTT); `opcua_url`: the server (None without OPC UA).
    `start_ns`, `end_ns` [ns]: the scenario's span. `truth`: asked for any asset and window in it. `made`: how often
    each of the scenario's faults was made, in their order, once it is played.
    """

    def __init__(self, scenario: "Scenario", folder: Path, own: "Broker | None", nursery: "Nursery") -> None:
        from simulators.outages import Outages
        from simulators.spec import MqttSpec, OpcUaSpec, Spec
        from simulators.truth import Truth

        kinds = {asset.kind for asset in scenario.assets}
        self.start_ns: Final = scenario.starts_ns(time.time_ns())
        self.end_ns: Final = self.start_ns + scenario.length_ns
        self.host: Final = None if own is None else "127.0.0.1"
        self.port: Final = None if own is None else own.port
        self.truth: Final[Truth] = Truth(
            scenario.models.values(),
            scenario.seed,
            self.start_ns,
            scenario.link_models.values(),
            [other.model for other in scenario.others],
        )
        self.journal: Final = folder / "journal.jsonl"
        """Every published identity, for simulators.journal.read_journal."""
        spec = Spec(
            scenario=scenario,
            seed=scenario.seed,
            epoch_ns=self.start_ns,
            until_ns=self.end_ns,
            speed=scenario.speed,
            mqtt=None if own is None else MqttSpec(port=own.port),
            opcua=OpcUaSpec(certificates=folder / "server") if "opcua" in kinds else None,
            journal=self.journal,
            truth=folder / "truth.json",
            disturbances=folder / "disturbances.json",
        )
        self._disturbances = folder / "disturbances.json"
        path = folder / "spec.json"
        path.write_text(spec.model_dump_json(), encoding="utf-8")
        self._log = folder / "simulation.log"
        born = nursery.born(path, self._log)
        self._stdin, self._stdout = os.fdopen(born.stdin, "wb", 0), os.fdopen(born.stdout)
        self._pid = born.pid
        self._outages = Outages(scenario.faults, born.pid, own)
        self.made: tuple[int, ...] = ()
        self.opcua_url: Final[str | None] = self._wait_for("ready").get("opcua_url")

    def play(self) -> int:
        """Play the scenario, and return how many values were published once every wire has accepted its own."""
        with suppress(BrokenPipeError):  # it has died: its output ends, which says so
            self._stdin.write(b"play\n")
        published = int(self._wait_for("live")["published"])
        self.made = self._outages.with_those_of(self._disturbances)
        return published

    def close(self) -> None:
        """End the process."""
        self._stdin.close()
        # It closes its output when it ends: a plant that does not is killed.
        impatient = threading.Timer(_STOP_S, lambda: os.kill(self._pid, signal.SIGKILL))
        impatient.start()
        self._stdout.read()
        impatient.cancel()
        self._stdout.close()

    def _wait_for(self, wanted: str) -> dict[str, Any]:
        for line in self._stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == wanted:
                return event
            if event["event"] == "fault":
                self._outages.make(event["number"])
            if event["event"] == "error":
                pytest.fail(f"the simulated plant: {event['message']}")
        words = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        pytest.fail(f"the simulated plant ended by itself: {words}")


@pytest.fixture(scope="session")
def km0_nursery() -> "Iterator[Nursery]":
    """Where all plants of a test run are born: the first takes seconds, the others a moment."""
    from simulators.nursery import Nursery

    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def km0_plant(tmp_path: Path, km0_nursery: "Nursery") -> Iterator[Callable[..., PlantUnderTest]]:
    """Starts a plant: `km0_plant("two-products", hours=2)`, with any key of a scenario file to change."""
    from simulators.broker import broker
    from simulators.outages import possible_here
    from simulators.scenario import open_scenario

    with ExitStack() as stack:

        def start(scenario: str = "demonstrator", **changes: Any) -> PlantUnderTest:
            plan = open_scenario(scenario).model_copy(update=changes)
            possible_here(plan.faults, own_broker=True)
            folder = tmp_path / f"plant-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            own = None
            if any(asset.kind != "opcua" for asset in plan.assets):
                own = broker(folder / "broker")
                own.start()
                stack.callback(own.stop)
            plant = PlantUnderTest(plan, folder, own, km0_nursery)
            stack.callback(plant.close)
            return plant

        yield start
