"""Collecting from a server that shares no code with our library, by companion specification."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from collectors.opcua.config import OpcUaConfig
from km0.plantfile import PlantFile
from telemetry.config import load
from telemetry.errors import ConfigError
from telemetry.glossary import MachineState
from telemetry.health import Condition
from telemetry.plant import Asset, Plant
from tests.collectors.opcua.foreign import Foreign, foreign
from tests.collectors.opcua.peer import config
from tests.collectors.opcua.running import collecting, km0
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MILL, PRESS, PACKER = (f"km0/fabrication/cell-1/{name}" for name in ("mill", "press", "packer"))
PLANT = Plant(assets=tuple(Asset(path=path, name=path) for path in (MILL, PRESS, PACKER)))
MACHINES = [
    {"asset": MILL, "machine": "Mill"},
    {"asset": PRESS, "machine": "Press"},
    {"asset": PACKER, "machine": "Packer"},
]


def by_machines(server: Foreign, **settings: Any) -> OpcUaConfig:
    # patient: a busy machine lets the server pause for long
    patient = {"keepalive_ms": 20_000, "timeout_ms": 60_000}
    return config(server.port, **{"nodes": [], "machines": MACHINES, "url": server.url, **patient, **settings})


def told(sink: MemorySink, asset: str, metric: str) -> list[tuple[float, str]]:
    """What is stored of a metric at last, in time order: of each instant the last sample."""
    rows = {one.time_ns: one for one in sink.samples if (one.asset, one.metric) == (asset, metric)}
    return [(rows[at].value, rows[at].text) for at in sorted(rows)]


def last(sink: MemorySink, asset: str, metric: str) -> tuple[float, str] | None:
    return next(reversed(told(sink, asset, metric)), None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Foreign]:
    async with foreign(tmp_path_factory.mktemp("node-opcua"), history=True) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def server(standing: Foreign) -> Foreign:
    """One server for all, whose mill begins anew with each test."""
    await standing.tell(anew=True)
    return standing


@pytest.mark.asyncio(loop_scope="module")
async def test_machines_are_found_and_written_down(server: Foreign, tmp_path: Path) -> None:
    """No configuration: three machines, their metrics and live values; the file that is written is a plant file."""
    file = tmp_path / "plant.toml"
    place = ("--under", "km0/fab/cell-1", "--write", str(file))
    found = json.loads(await km0("discover", "opcua", server.url, "--json", *place))
    shown = await km0("discover", "opcua", server.url)
    before = file.read_text()
    with pytest.raises(ConfigError, match=r"is in .* already"):
        await km0("discover", "opcua", server.url, *place)
    assert file.read_text() == before
    machines = {machine["name"]: machine for machine in found["machines"]}
    assert {name: machine["specification"] for name, machine in machines.items()} == {
        "Mill": "MachineTool",
        "Press": "Machinery",
        "Packer": "PackML",
    }
    assert machines["Mill"]["nameplate"] == {"Manufacturer": "Acme", "SerialNumber": "M-1"}
    rows = {row["metric"]: row for row in machines["Mill"]["metrics"]}
    assert (rows["state"]["value"], rows["program"]["text"], rows["program_state"]["value"]) == (2.0, "O1000", 1.0)
    assert "alarm" in rows
    assert found["endpoints"][0]["security"] == "None"
    assert "NOT_EXECUTING" in shown
    assert "100 % (Cutter)" in shown
    assert "neither signed nor secret" in shown
    written = load(file, PlantFile)
    paths = [asset.path for asset in written.plant.assets]
    assert paths == ["km0/fab/cell-1/mill", "km0/fab/cell-1/press", "km0/fab/cell-1/packer"]
    assert written.collectors[0].name == f"127.0.0.1-{server.port}-km0"
    assert str(written.collectors[0].model_dump()["progress"]) == f"127.0.0.1-{server.port}-km0.progress.json"


@pytest.mark.asyncio(loop_scope="module")
async def test_machines_are_collected_without_a_list_of_nodes(server: Foreign) -> None:
    """Machinery and MachineTool (a vendor's sub-type of it) give states, counts, overrides, programs, lamps, alarms."""
    sink = MemorySink()
    at = time.time_ns() // 1_000_000
    async with collecting(by_machines(server), sink, plant=PLANT) as component:
        await until(lambda: component.condition is Condition.OK and last(sink, PRESS, "state") is not None)
        assert component.snapshot()["gauges"]["bad_nodes"] == 0
        assert last(sink, PRESS, "state") == (MachineState.EXECUTING, "")
        assert last(sink, PRESS, "operation_mode") == (3.0, "")
        await until(lambda: last(sink, MILL, "program") == (0.0, "O1000"))
        await until(lambda: last(sink, MILL, "program_state") == (1.0, ""))
        # the item state decides, not the program that runs
        assert last(sink, MILL, "state") == (MachineState.NOT_EXECUTING, "")
        tool = "Mill/Monitoring/MachineTool"
        for machine, state, ms in (
            ("MachineryItemState", "Executing", 10),
            ("MachineryOperationMode", "Setup", 20),
            ("MachineryOperationMode", "Processing", 30),
            ("MachineryItemState", "OutOfService", 40),
        ):
            await server.tell(state=[f"{tool}/{machine}", state, at + ms])
            # the server samples: what is written over before it looked is not told
            await until(
                lambda ms=ms: at + ms in {one.time_ns // 1_000_000 for one in sink.samples if one.asset == MILL}
            )
        await server.tell(
            write=[
                [f"{tool}/FeedOverride", "Double", 80.0, at + 11],
                ["Mill/Monitoring/Spindle/Override", "Double", 110.0, at + 12],
                ["Mill/Production/Statistics/PartsProducedInLifetime", "UInt32", 41, at + 13],
                ["Mill/Monitoring/Stacklight/Green/SignalOn", "Boolean", True, at + 14],
                ["Mill/Monitoring/Stacklight/Red/SignalOn", "Boolean", True, at + 15],
                ["Mill/Production/ActiveProgram/Name", "String", "O2000", at + 16],
            ]
        )
        await server.tell(alarm=["Mill", "coolant low", 700])
        await until(lambda: last(sink, MILL, "state") == (MachineState.OUT_OF_SERVICE, ""))
        await until(lambda: last(sink, MILL, "stacklight") == (0.0, "green, red"))
        await until(lambda: (last(sink, MILL, "alarm") or (0.0, ""))[0] == 700.0)
    expected = [MachineState.EXECUTING, MachineState.SETUP, MachineState.EXECUTING, MachineState.OUT_OF_SERVICE]
    rows = {
        one.time_ns // 1_000_000 - at: one.value for one in sink.samples if (one.asset, one.metric) == (MILL, "state")
    }
    assert [rows[ms] for ms in (10, 20, 30, 40)] == expected
    assert last(sink, MILL, "feed_override") == (80.0, "")
    assert last(sink, MILL, "spindle_override") == (110.0, "")
    assert last(sink, MILL, "parts") == (41.0, "")
    assert last(sink, MILL, "program") == (0.0, "O2000")
    alarm = last(sink, MILL, "alarm")
    assert alarm is not None
    assert alarm[0] == 700.0
    assert "coolant low" in alarm[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_packml_states_and_counts(server: Foreign) -> None:
    """The innermost state counts: Execute in Running in Cleared; Suspended means starved; AccCount is what was made."""
    sink = MemorySink()
    base = "Packer/BaseStateMachine"
    at = time.time_ns() // 1_000_000
    await server.tell(state=[base, "Cleared", at])
    await server.tell(state=[f"{base}/MachineState", "Running", at])
    await server.tell(state=[f"{base}/MachineState/ExecuteState", "Execute", at])
    await server.tell(count=["Packer/Admin/ProdProcessedCount", 3, 1003, at])
    await server.tell(count=["Packer/Admin/ProdDefectiveCount", 1, 12, at])
    async with collecting(by_machines(server), sink, plant=PLANT):
        await until(lambda: last(sink, PACKER, "state") == (MachineState.EXECUTING, ""))
        await until(lambda: last(sink, PACKER, "packml_state") == (6.0, ""))
        await until(lambda: last(sink, PACKER, "parts") == (1003.0, ""))
        await until(lambda: last(sink, PACKER, "parts_scrap") == (12.0, ""))
        await server.tell(state=[f"{base}/MachineState/ExecuteState", "Suspended", at + 5])
        await until(lambda: last(sink, PACKER, "state") == (MachineState.STARVED, ""))
        await server.tell(write=[["Packer/Status/EquipmentBlocked", "Boolean", True, at + 6]])
        await until(lambda: last(sink, PACKER, "state") == (MachineState.BLOCKED, ""))
        await server.tell(state=[base, "Aborted", at + 7])
        await until(lambda: last(sink, PACKER, "state") == (MachineState.OUT_OF_SERVICE, ""))
        assert last(sink, PACKER, "packml_state") == (9.0, "")


@pytest.mark.asyncio(loop_scope="module")
async def test_channels_jobs_and_tools_are_collected_without_a_list_of_nodes(server: Foreign) -> None:
    """The job that runs is told, not the first of the plan, its last part too; of all tools the one with least life."""
    sink = MemorySink()
    at = time.time_ns() // 1_000_000
    plan = "Mill/Production/ProductionPlan"
    async with collecting(by_machines(server), sink, plant=PLANT) as component:
        await until(lambda: component.condition is Condition.OK and last(sink, MILL, "tool_life") is not None)
        await server.tell(
            write=[
                ["Mill/Monitoring/Channel/RapidOverride", "Double", 50.0, at],
                ["Mill/Equipment/Tools/Drill/ToolLife/Life", "Double", 400.0, at + 1],
                ["Mill/Equipment/Tools/Cutter/ToolLife/Life", "Double", 9.0, at + 2],
                [f"{plan}/Job1/PartsGood", "UInt32", 7, at + 3],
                [f"{plan}/Job2/PartsGood", "UInt32", 0, at + 3],
            ]
        )
        await server.tell(state=[f"{plan}/Job2/State", "Running", at + 4])
        await until(lambda: last(sink, MILL, "order") == (0.0, "OF-2"))
        await server.tell(write=[[f"{plan}/Job2/PartsGood", "UInt32", 1, at + 5]])
        # the server samples: what is written over before it looked is not told
        await until(lambda: last(sink, MILL, "parts_good") == (1.0, ""))
        # the end and the last part bear one time, and the end comes first
        await server.tell(state=[f"{plan}/Job2/State", "Ended", at + 6])
        await server.tell(write=[[f"{plan}/Job2/PartsGood", "UInt32", 2, at + 6]])
        await until(lambda: last(sink, MILL, "parts_good") == (2.0, ""))
        await server.tell(state=[f"{plan}/Job1/State", "Running", at + 7])
        await until(lambda: last(sink, MILL, "order") == (0.0, "OF-1"))
        await until(lambda: last(sink, MILL, "tool_life") == (10.0, "Cutter"))
        await until(lambda: last(sink, MILL, "rapid_override") == (50.0, ""))
    rows = {
        one.time_ns // 1_000_000 - at: one.value
        for one in sink.samples
        if (one.asset, one.metric) == (MILL, "parts_good") and one.time_ns >= at * 1_000_000
    }
    assert [rows[ms] for ms in (4, 5, 6, 7)] == [0.0, 1.0, 2.0, 7.0]
    lives = [value for value, _ in told(sink, MILL, "tool_life")]
    assert lives[-3:] == [100.0, 20.0, 10.0]  # 400 of 500 parts used; then 9 of 90 minutes left


@pytest.mark.asyncio(loop_scope="module")
async def test_jobs_and_tools_that_come_and_go_while_a_session_stands(server: Foreign) -> None:
    """The machine is browsed again: a job that was added is told when it runs, a tool that was removed no more, and
    what was known of the others stays known."""
    sink = MemorySink()
    plan, tools = "Mill/Production/ProductionPlan", "Mill/Equipment/Tools"

    async def used(tool: str, value: float) -> None:
        await server.tell(write=[[f"{tools}/{tool}/ToolLife/Life", "Double", value, None]])

    async with collecting(by_machines(server, browse_s=0.5), sink, plant=PLANT) as component:
        await until(lambda: component.condition is Condition.OK and last(sink, MILL, "tool_life") is not None)
        nodes = component.snapshot()["gauges"]["nodes"]
        await used("Cutter", 81.0)
        await used("Drill", 300.0)
        await until(lambda: last(sink, MILL, "tool_life") == (40.0, "Drill"))
        await server.tell(job=["Job3", "OF-3"], tool=["Reamer", 13, 0, 10])
        await until(lambda: component.snapshot()["gauges"]["nodes"] == nodes + 5)
        await server.tell(state=[f"{plan}/Job1/State", "Ended"])
        await server.tell(state=[f"{plan}/Job3/State", "Running"])
        await until(lambda: last(sink, MILL, "order") == (0.0, "OF-3"))
        await used("Reamer", 7.0)
        await until(lambda: last(sink, MILL, "tool_life") == (30.0, "Reamer"))
        await used("Reamer", 4.0)
        # by what was known of the drill before the machine was browsed again
        await until(lambda: last(sink, MILL, "tool_life") == (40.0, "Drill"))
        await server.tell(remove=f"{tools}/Drill")
        await until(lambda: last(sink, MILL, "tool_life") == (60.0, "Reamer"))
        await until(lambda: component.snapshot()["gauges"]["nodes"] == nodes + 4)
        await used("Reamer", 0.0)
        await until(lambda: last(sink, MILL, "tool_life") == (90.0, "Cutter"))
        await server.tell(state=[f"{plan}/Job3/State", "Ended"])
        # at its place stands another node now; what the machine's other nodes told before is still known
        monitoring = "Mill/Monitoring/MachineTool"
        await server.tell(state=[f"{monitoring}/MachineryOperationMode", "Setup"])
        await until(lambda: last(sink, MILL, "state") == (MachineState.SETUP, ""))
        await server.tell(remove=f"{tools}/Cutter")
        await server.tell(tool=["Cutter", 12, 90, 0])
        await used("Cutter", 9.0)
        await until(lambda: last(sink, MILL, "tool_life") == (10.0, "Cutter"))
        await server.tell(tool=["Tap", 14, 200, None])  # it counts down, and has no limit: to 0
        await used("Tap", 10.0)
        await until(lambda: last(sink, MILL, "tool_life") == (5.0, "Tap"))
        count = len(told(sink, MILL, "state"))
        await server.tell(state=[f"{monitoring}/MachineryItemState", "NotExecuting"])
        await until(lambda: len(told(sink, MILL, "state")) > count)
        assert last(sink, MILL, "state") == (MachineState.SETUP, "")
        await server.tell(state=[f"{monitoring}/MachineryOperationMode", "Processing"])
        # of what is gone, and of the node that stood at the cutter's place, the server has no item any more; one item
        # tells of changes of the model
        async with asyncio.timeout(30):
            while await server.items() != component.snapshot()["gauges"]["nodes"] + 1:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.1)
        assert component.snapshot()["gauges"]["nodes"] == nodes + 5
        assert component.counted("reconnects") == 0
    assert sink.dead_letters == []


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_server_tells_of_its_nodes_is_looked_at_at_once(server: Foreign) -> None:
    """By its model change events a job that comes is followed, and one that goes no more, though machines are to be
    browsed again in a day only."""
    sink = MemorySink()
    plan = "Mill/Production/ProductionPlan"
    await server.tell(versions=[plan])
    async with collecting(by_machines(server, machines=MACHINES[:1], browse_s=86_400), sink, plant=PLANT) as component:
        await until(lambda: component.condition is Condition.OK and last(sink, MILL, "tool_life") is not None)
        nodes = component.snapshot()["gauges"]["nodes"]
        await server.tell(job=["Job8", "OF-8"])
        await until(lambda: component.snapshot()["gauges"]["nodes"] == nodes + 4)
        await server.tell(state=[f"{plan}/Job1/State", "Ended"])
        await server.tell(state=[f"{plan}/Job8/State", "Running"])
        await until(lambda: last(sink, MILL, "order") == (0.0, "OF-8"))
        await server.tell(remove=f"{plan}/Job8")
        await until(lambda: component.snapshot()["gauges"]["nodes"] == nodes)
        assert component.counted("reconnects") == 0
    assert sink.dead_letters == []


@pytest.mark.asyncio(loop_scope="module")
async def test_alarms_begin_end_and_are_told_to_who_comes_later(server: Foreign) -> None:
    """A condition has its error code, 0 when it is over; one that stands is told again at its own time after a break;
    two events of one instant are two samples."""
    first, second = MemorySink(), MemorySink()

    def alarms(sink: MemorySink, code: str) -> list[tuple[float, str]]:
        # node-opcua names the source by its namespace's number too, "1:Mill"
        return [(value, text.removeprefix("1:")) for value, text in told(sink, MILL, "alarm") if code in text]

    async with collecting(by_machines(server), first, plant=PLANT) as component:
        await until(lambda: component.condition is Condition.OK and last(first, MILL, "program") is not None)
        await server.tell(condition=[True, "coolant low", 700, "E42"])
        await until(lambda: (700.0, "Mill: E42: coolant low") in alarms(first, "E42"))
        await server.tell(condition=[False, "coolant full", 100, "E42"])
        await until(lambda: (0.0, "Mill: E42: coolant full") in alarms(first, "E42"))
        await server.tell(condition=[True, "coolant low", 800, "E43"])
        await until(lambda: (800.0, "Mill: E43: coolant low") in alarms(first, "E43"))
        frozen = time.time_ns() // 1_000_000
        await server.tell(stop_clock=frozen, alarm=["Mill", "door one", 1])
        await server.tell(alarm=["Mill", "door two", 2])
        await server.tell(stop_clock=0)
        await until(lambda: len(alarms(first, "door")) == 2)
        # where a machine tool as published tells its alerts
        await server.tell(alarm=["Mill/Notification/Messages", "filter clogged", 300])
        await until(lambda: [value for value, _ in alarms(first, "filter clogged")] == [300.0])
    times = {one.time_ns for one in first.samples if one.metric == "alarm" and "door" in one.text}
    assert times == {frozen * 1_000_000, frozen * 1_000_000 + 1}
    async with collecting(by_machines(server), second, plant=PLANT):
        await until(lambda: (800.0, "Mill: E43: coolant low") in alarms(second, "E43"))
    began = {one.time_ns for one in first.samples if one.metric == "alarm" and one.value == 800.0}
    assert {one.time_ns for one in second.samples if one.metric == "alarm" and one.value == 800.0} <= began
    assert first.dead_letters == second.dead_letters == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_machine_that_is_not_there_is_said_with_those_that_are(server: Foreign) -> None:
    """The others are followed meanwhile."""
    sink = MemorySink()
    wanted = [*MACHINES[1:2], {"asset": MILL, "machine": "Mil"}]
    async with collecting(by_machines(server, machines=wanted), sink, plant=PLANT) as component:
        await until(lambda: last(sink, PRESS, "state") is not None)
        assert "'Mil' was not found: the server shows Mill, Press, Packer" in component.snapshot()["detail"]
