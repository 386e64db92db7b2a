"""Faults of a server that shares no code with our library: its history, its queues, its limits, its clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from collectors.opcua.config import OpcUaConfig
from telemetry.glossary import MachineState
from telemetry.health import Condition
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Quality, Sample
from tests.collectors.opcua.foreign import Foreign, foreign
from tests.collectors.opcua.peer import Wire, config
from tests.collectors.opcua.running import collecting
from tests.collectors.opcua.tap import HISTORY_READ, tapped
from tests.collectors.opcua.test_foreign import last, told
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PRESS = "km0/fabrication/cell-1/press"
PLANT = Plant(assets=(Asset(path=PRESS, name="press"),))
COUNTER = {"node": "nsu=urn:km0:foreign;s=Counter", "asset": PRESS, "metric": "parts"}


PATIENT = {"timeout_ms": 20_000, "keepalive_ms": 20_000}
"""A busy machine lets server and path pause for long; a path that is cut is noticed at once all the same."""

NAMES = [f"N{number}" for number in range(60)]
PACED = ("Paced0", "Paced1", "Paced2")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Foreign]:
    """With history, and at most twenty nodes in a request for it. No two tests follow the same node: its history is
    there for good, and a session that was left lives on at the server for a while."""
    options = {
        "machines": "press",
        "variables": ["Frozen", "Counter", "Clock", *PACED, *NAMES],
        "analog": [["Tank", 0, 200], ["Oven", 0, 200]],
        "history": True,
        "capabilities": {"operationLimits": {"maxNodesPerHistoryReadData": 20}},
    }
    async with foreign(tmp_path_factory.mktemp("node-opcua"), **options) as running:
        yield running


def following(server: Foreign, *nodes: dict[str, Any], **settings: Any) -> OpcUaConfig:
    return config(server.port, **{"nodes": nodes or [COUNTER], "url": server.url, **settings})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_foreign_history_fills_a_hole(server: Foreign) -> None:
    """Frozen and released: what node-opcua recorded meanwhile is read from it, at its source times."""
    sink = MemorySink()
    at = time.time_ns() // 1_000_000
    node = {**COUNTER, "node": "nsu=urn:km0:foreign;s=Frozen"}
    settings = following(server, node, timeout_ms=500, keepalive_ms=200)

    def rows() -> dict[int, float]:
        return {one.time_ns // 1_000_000 - at: one.value for one in sink.samples}

    async with collecting(settings, sink, plant=PLANT) as component:
        await server.tell(write=[["Plain/Frozen", "Double", 1.0, at]])
        await until(lambda: last(sink, PRESS, "parts") == (1.0, ""))
        server.freeze()
        await until(lambda: component.condition is Condition.FAILING)
        server.release()
        await server.tell(write=[["Plain/Frozen", "Double", float(n), at + n] for n in range(2, 300)])
        await until(lambda: set(range(2, 300)) <= rows().keys())
    found = rows()
    assert [found[n] for n in range(2, 300)] == [float(n) for n in range(2, 300)]


async def test_a_subscription_left_at_the_server_is_taken_over_and_nothing_is_missing(tmp_path: Path) -> None:
    """Without any history: what node-opcua queued while the path was cut comes through the subscription it kept."""
    sink = MemorySink()
    every_change = {"minSupportedSampleRate": 0}
    async with foreign(tmp_path, transfer=True, machines=False, capabilities=every_change) as server:
        path = Wire(server.port)
        await path.mend()
        state = {"node": "nsu=urn:km0:foreign;s=State", "asset": PRESS, "metric": "state"}
        url = f"opc.tcp://127.0.0.1:{path.port}/km0"
        settings = following(server, COUNTER, state, **PATIENT, url=url, online_s=1)
        at = time.time_ns() // 1_000_000
        async with collecting(settings, sink, plant=PLANT) as component:
            await server.tell(write=[["Plain/Counter", "Double", 1.0, at], ["Plain/State", "Double", 3.0, at]])
            await until(lambda: last(sink, PRESS, "parts") == (1.0, "") and last(sink, PRESS, "state") == (3.0, ""))
            for cut in range(2):
                await path.cut()
                await until(lambda: component.condition is Condition.FAILING)
                assert [one.quality for one in sink.samples if one.metric == "state"][-1] == Quality.BAD
                numbers = range(2 + 10 * cut, 12 + 10 * cut)
                await server.tell(write=[["Plain/Counter", "Double", float(n), at + n] for n in numbers])
                await path.mend()
                await until(lambda newest=float(numbers[-1]): last(sink, PRESS, "parts") == (newest, ""))
            assert component.counted("resumed") == 2
            assert component.counted("holes_left") == component.counted("holes_filled") == 0
            assert component.counted("missing_messages") == component.counted("overflows") == 0
        await path.cut()
    rows = {one.time_ns // 1_000_000 - at: one.value for one in sink.samples if one.metric == "parts"}
    assert [rows[n] for n in range(2, 22)] == [float(n) for n in range(2, 22)]
    # the break is told, and the state in force throughout was known
    final = {one.time_ns: one for one in sink.samples if one.metric == "state"}
    assert {one.quality for one in final.values()} == {Quality.GOOD}
    assert len([one for one in sink.samples if one.metric == "repair"]) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_deadbands_are_applied_by_the_server(server: Foreign) -> None:
    """Absolute in the node's unit, percent of its range; where there is no range, all comes and that is said."""
    sink = MemorySink()
    plant = Plant(assets=tuple(Asset(path=f"a/{name.lower()}", name=name) for name in ("tank", "oven", "plain")))
    nodes = [
        {"node": "nsu=urn:km0:foreign;s=Tank", "asset": "a/tank", "metric": "temperature", "deadband": 5.0},
        {"node": "nsu=urn:km0:foreign;s=Oven", "asset": "a/oven", "metric": "temperature", "deadband_percent": 10.0},
        {"node": "nsu=urn:km0:foreign;s=Counter", "asset": "a/plain", "metric": "parts", "deadband_percent": 10.0},
    ]
    async with collecting(following(server, *nodes), sink, plant=plant) as component:
        await until(lambda: len(sink.samples) == 3)
        assert "the server applies no deadband to 1 nodes" in component.snapshot()["detail"]
        assert "s=Counter" in component.snapshot()["detail"]
        at = time.time_ns() // 1_000_000
        for number, value in enumerate((4.0, 6.0, 10.0, 22.0, 30.0, 100.0)):
            await server.tell(
                write=[[f"Plain/{name}", "Double", value, at + number] for name in ("Tank", "Oven", "Counter")]
            )
            # node-opcua samples a node every 50 ms, and what it samples is what the band is applied to
            await until(lambda value=value: last(sink, "a/plain", "parts") == (value, ""))
        await until(lambda: last(sink, "a/oven", "temperature") == last(sink, "a/tank", "temperature") == (100.0, ""))
    # reported when it differs from the value reported before by more than 5, by more than 10 % of 200
    assert [value for value, _ in told(sink, "a/tank", "temperature")] == [0.0, 6.0, 22.0, 30.0, 100.0]
    assert [value for value, _ in told(sink, "a/oven", "temperature")] == [0.0, 22.0, 100.0]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_server_never_queued_is_no_loss_of_ours_and_every_value_that_it_queued_arrives(
    server: Foreign,
) -> None:
    """node-opcua keeps the last of what a node takes within 50 ms, and tells no overflow: it says so when it grants
    the interval, and so do we."""
    sink = MemorySink()
    plant = Plant(assets=tuple(Asset(path=f"a/{name.lower()}", name=name) for name in PACED))
    nodes = [
        {"node": f"nsu=urn:km0:foreign;s={name}", "asset": f"a/{name.lower()}", "metric": "parts"} for name in PACED
    ]
    began_ns = time.time_ns()
    async with collecting(following(server, *nodes, **PATIENT), sink, plant=plant) as component:
        await until(lambda: len({one.asset for one in sink.samples}) == len(PACED))
        each, queued = await server.pace(PACED, 100, 0.5)
        assert queued <= each * len(PACED)
        await until(lambda: len([one for one in sink.samples if one.time_ns > began_ns]) >= queued)
        at = time.time_ns() // 1_000_000
        await server.tell(write=[["Plain/Paced0", "Double", float(n), at + n] for n in range(10_001, 10_011)])
        await until(lambda: last(sink, "a/paced0", "parts") == (10_010.0, ""))
        assert component.snapshot()["gauges"]["sampling_ms"] == 50.0
        assert component.counted("overflows") == component.counted("missing_messages") == 0
    paced = [one for one in sink.samples if began_ns < one.time_ns and one.value <= each]
    assert len(paced) == len({(one.asset, one.value) for one in paced}) == queued
    folded = [value for value, _ in told(sink, "a/paced0", "parts") if value > 10_000]
    assert len(folded) <= 2


@pytest.mark.asyncio(loop_scope="module")
async def test_many_nodes_share_few_requests_for_history(server: Foreign) -> None:
    """Sixty nodes, at most twenty in a request by the server's limit: three requests fill the holes of all."""
    plant = Plant(assets=tuple(Asset(path=f"a/{name.lower()}", name=name) for name in NAMES))
    nodes = [
        {"node": f"nsu=urn:km0:foreign;s={name}", "asset": f"a/{name.lower()}", "metric": "parts"} for name in NAMES
    ]
    sink = MemorySink()
    async with tapped(server.port) as path:
        settings = following(server, *nodes, url=f"opc.tcp://127.0.0.1:{path.port}/km0", **PATIENT)
        async with collecting(settings, sink, plant=plant) as component:
            await until(lambda: len({one.asset for one in sink.samples}) == 60)
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            at = time.time_ns() // 1_000_000
            await server.tell(
                write=[[f"Plain/{name}", "Double", float(n), at + n] for n in range(1, 6) for name in NAMES]
            )
            await path.mend()
            await until(lambda: component.counted("holes_filled") == 60)
            assert component.counted("holes_left") == 0
            assert path.said[HISTORY_READ] == 3
    found = {(one.asset, one.time_ns // 1_000_000 - at): one.value for one in sink.samples}
    assert all(found[f"a/{name.lower()}", n] == n for name in NAMES for n in range(1, 6))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_metric_of_several_nodes_is_known_again_when_all_of_them_are(server: Foreign) -> None:
    """A press's state is told by its item state and its mode. While the server has a history of one alone, what it
    was during a break stays unknown; once it has both, nothing is."""
    sink = MemorySink()
    blocks = "Press/MachineryBuildingBlocks"
    item, mode = f"{blocks}/MachineryItemState", f"{blocks}/MachineryOperationMode"
    path = Wire(server.port)
    await path.mend()
    machine = {"nodes": [], "machines": [{"asset": PRESS, "machine": "Press"}], "browse_s": 0}
    url = f"opc.tcp://127.0.0.1:{path.port}/km0"
    settings = config(server.port, **machine, url=url, **PATIENT, online_s=1)
    async with collecting(settings, sink, plant=PLANT) as component:
        for turn, historized in enumerate((item, mode), 1):
            await server.tell(historize=[f"{historized}/CurrentState/Id"])
            for machine_state, name in ((item, "NotExecuting"), (mode, "Setup"), (mode, "Processing")):
                before = len(states(sink))
                await server.tell(state=[machine_state, name])
                await until(lambda before=before: len(states(sink)) > before)
            await server.tell(state=[item, "Executing"])
            await until(lambda: last(sink, PRESS, "state") == (MachineState.EXECUTING, ""))
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            assert states(sink)[-1].quality == Quality.BAD
            await path.mend()
            # the mode is followed twice: for the state, and as a metric of its own
            await until(lambda n=3 * turn: component.counted("holes_filled") + component.counted("holes_left") == n)
            unknown = [one for one in states(sink) if one.quality == Quality.BAD]
            assert (component.counted("holes_filled"), len(unknown)) == ((1, 1) if turn == 1 else (4, 1))
    await path.cut()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_missed_is_read_of_nodes_that_were_numbered_anew_meanwhile(server: Foreign) -> None:
    """While the connection was broken a press's nodes got other numbers: they are known by their places, what their
    history holds of the time of the break is told, and then what they do."""
    sink = MemorySink()
    blocks = "Press/MachineryBuildingBlocks"
    item, mode = f"{blocks}/MachineryItemState", f"{blocks}/MachineryOperationMode"
    path = Wire(server.port)
    await path.mend()
    machine = {"nodes": [], "machines": [{"asset": PRESS, "machine": "Press"}], "browse_s": 0}
    settings = config(server.port, **machine, url=f"opc.tcp://127.0.0.1:{path.port}/km0", **PATIENT, online_s=1)
    try:
        async with collecting(settings, sink, plant=PLANT) as component:
            await server.tell(state=[item, "Executing"])
            await until(lambda: last(sink, PRESS, "state") == (MachineState.EXECUTING, ""))
            nodes = component.snapshot()["gauges"]["nodes"]
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            await server.tell(number="Press")
            await server.tell(historize=[f"{one}/CurrentState/Id" for one in (item, mode)])
            at = time.time_ns() // 1_000_000
            await server.tell(state=[mode, "Setup", at + 1])
            await server.tell(state=[item, "NotExecuting", at + 2])
            await server.tell(state=[mode, "Processing", at + 3])
            await path.mend()
            await until(lambda: component.counted("holes_filled") == 3)
            assert component.counted("holes_left") == 0
            await server.tell(state=[item, "Executing", at + 4])
            await until(lambda: last(sink, PRESS, "state") == (MachineState.EXECUTING, ""))
            assert component.snapshot()["gauges"]["nodes"] == nodes == 3
    finally:
        await server.tell(number="Press")
        await path.cut()
    told_of = {one.time_ns // 1_000_000 - at: one.value for one in states(sink)}
    assert [told_of[ms] for ms in (1, 2, 3, 4)] == [
        MachineState.SETUP, MachineState.SETUP, MachineState.NOT_EXECUTING, MachineState.EXECUTING,
    ]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
async def test_a_clock_set_forward_and_back_loses_nothing(server: Foreign) -> None:
    """An hour ahead, then two hours back during a break: source times are kept, and history is read from the time on
    the clock that now goes at which we last heard of the server."""
    sink = MemorySink()
    hour_ms = 3_600_000
    node = {**COUNTER, "node": "nsu=urn:km0:foreign;s=Clock"}
    try:
        async with tapped(server.port) as path:
            settings = following(server, node, url=f"opc.tcp://127.0.0.1:{path.port}/km0", **PATIENT)
            async with collecting(settings, sink, plant=PLANT) as component:
                await until(lambda: last(sink, PRESS, "parts") is not None)
                await server.tell(clock=hour_ms)
                await server.tell(write=[["Plain/Clock", "Double", 1.0, None]])
                await until(lambda: (1.0, "") in told(sink, PRESS, "parts"))
                await path.cut()
                await until(lambda: component.condition is Condition.FAILING)
                await server.tell(clock=-hour_ms)
                for value in (2.0, 3.0, 4.0):
                    await server.tell(write=[["Plain/Clock", "Double", value, None]])
                    await asyncio.sleep(0.01)  # its clock counts milliseconds
                await path.mend()
                await until(lambda: {(2.0, ""), (3.0, ""), (4.0, "")} <= set(told(sink, PRESS, "parts")))
                assert component.snapshot()["gauges"]["server_ahead_ms"] < -hour_ms / 2
                await server.tell(write=[["Plain/Clock", "Double", 5.0, None]])
                await until(lambda: (5.0, "") in told(sink, PRESS, "parts"))
    finally:
        await server.tell(clock=0)
    times = {one.value: one.time_ns for one in sink.samples if one.metric == "parts"}
    now = time.time_ns()
    assert abs(times[1.0] - now - 3600 * SECOND_NS) < 120 * SECOND_NS
    assert all(abs(times[value] - now + 3600 * SECOND_NS) < 120 * SECOND_NS for value in (2.0, 3.0, 4.0, 5.0))


def states(sink: MemorySink) -> list[Sample]:
    """The states told, in time order: of each instant the last sample."""
    rows = {one.time_ns: one for one in sink.samples if one.metric == "state"}
    return [rows[at] for at in sorted(rows)]
