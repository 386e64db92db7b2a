"""Machine tools and PackML machines as companion specifications ask: recognised by clients that know these."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client

from collectors.opcua import machines
from collectors.opcua.browse import Browser
from collectors.opcua.config import OpcUaConfig
from collectors.opcua.session import connect
from simulators.companion import DI, MACHINE_TOOL, MACHINERY, PACKML, Speech, events
from simulators.lives import lives
from simulators.opcua_plant import OpcUaPlant
from simulators.scenario import HOUR_NS, open_scenario
from simulators.sections import OpcUaServer
from simulators.speeches import VENDOR, vendor_node
from simulators.timeline import Event, told
from telemetry.plant import Asset, Plant
from tests.collectors.opcua.foreign import FOLDER, installed
from tests.collectors.opcua.running import collecting
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

SCENARIO = open_scenario("machining-cell")
START = SCENARIO.starts_ns(0)
CENTRE, LATHE, ROBOT = (f"km0/fabrication/cell-3/{name}" for name in ("centre-3", "lathe-3", "robot-3"))
SPEECHES: dict[str, Speech] = {CENTRE: "machine-tool", LATHE: "machine-tool", ROBOT: "packml"}
STATISTICS = "Production/Statistics/PartsProducedInLifetime"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def life(path: str) -> Iterator[Event]:
    model = SCENARIO.models[path]
    return events(SPEECHES[path], told(lives(SCENARIO.models, path, 23, START), model, 23, START))


def lived(path: str) -> list[Event]:
    """The first two hours."""
    return list(takewhile(lambda event: event[0] < START + 2 * HOUR_NS, life(path)))


def last(path: str, metric: str) -> Any:
    return next(value for _, name, value in reversed(lived(path)) if name == metric)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[OpcUaPlant]:
    metrics = {machine.path: machine.metrics for machine in SCENARIO.machines}  # type: ignore[union-attr]
    manners = OpcUaServer(most_per_call=25, most_queued=150)
    one = OpcUaPlant(0, metrics, life, lived=False, speeches=SPEECHES, manners=manners)
    await one.start()
    for path in SPEECHES:
        await one.write(path, lived(path))
    yield one
    await one.stop()


async def found(client: Client, path: str) -> ua.NodeId:
    """A node below Machines, by browse names of any namespace."""
    index = await client.get_namespace_index(MACHINERY)
    node = client.get_node(ua.NodeId(ua.Int32(1001), ua.Int16(index)))
    for name in path.split("/"):
        children = {(await child.read_browse_name()).Name: child for child in await node.get_children()}
        node = children[name]
    return node.nodeid


async def test_node_opcua_sees_the_specifications_types_and_the_values_in_force(plant: OpcUaPlant) -> None:
    """A client that shares no code with our server walks all machines: their types are the specifications', the
    counters are those of the process, and no value that was ever told is bad."""
    node = await asyncio.to_thread(installed)
    process = await asyncio.create_subprocess_exec(
        node, "browse.js", plant.url, cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, complaint = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, complaint.decode()
    # node-opcua writes its own remarks to standard output, too
    told_of_machines = next(line for line in answer.splitlines() if line.startswith(b"[{"))
    seen = {one["path"]: one for one in json.loads(told_of_machines)}
    assert seen["centre-3"]["type"] == f"{MACHINE_TOOL}MachineToolType"
    assert seen["centre-3/Identification"]["type"] == f"{MACHINE_TOOL}MachineToolIdentificationType"
    assert seen["lathe-3/Production/ActiveProgram"]["type"] == f"{MACHINE_TOOL}ProductionActiveProgramType"
    assert seen["robot-3"]["type"] == f"{PACKML}PackMLBaseObjectType"
    assert seen["centre-3/Identification/SerialNumber"]["value"] == "centre-3"
    assert seen[f"centre-3/{STATISTICS}"]["value"] == str(last(CENTRE, "parts"))
    assert seen["lathe-3/Production/ActiveProgram/Name"]["value"] == last(LATHE, "program")
    states = {2: "NotExecuting", 3: "Executing", 1: "OutOfService", 4: "NotExecuting", 7: "NotExecuting"}
    item = seen["centre-3/Monitoring/MachineTool/MachineryItemState/CurrentState"]
    assert item["value"] == states[last(CENTRE, "state")]
    assert {one["status"] for one in seen.values() if "status" in one} == {"Good"}


async def test_our_collector_recognises_every_machine_without_a_list_of_nodes(plant: OpcUaPlant) -> None:
    """By type alone: two machine tools with their nameplates and a PackML machine, and what each tells."""
    config = OpcUaConfig.model_validate_json(
        json.dumps({"kind": "opcua", "name": "x", "url": plant.url, "security": "None",
                    "machines": [{"asset": CENTRE, "machine": "centre-3"}]})
    )  # fmt: skip
    async with connect(config, None) as session:
        shown = await machines.find(Browser(session, await session.namespaces()))
    assert {(one.seen.name, one.specification) for one in shown} == {
        ("centre-3", "MachineTool"),
        ("lathe-3", "MachineTool"),
        ("robot-3", "PackML"),
    }


async def test_states_are_the_specifications_nodes_and_history_has_each_of_them(plant: OpcUaPlant) -> None:
    """CurrentState/Id is the node of a state of Machinery, at the source time of the turn; HistoryRead answers with as
    many turns as the process took."""
    async with Client(plant.url) as client:
        index = await client.get_namespace_index(MACHINERY)
        path = "lathe-3/Monitoring/MachineTool/MachineryItemState/CurrentState/Id"
        node = client.get_node(await found(client, path))
        history = await node.read_raw_history(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    turns = [event for event in lived(LATHE) if event[1] == "state"]
    numbers = {0: 5005, 1: 5004, 3: 5006}
    assert [one.Value.Value.Identifier for one in history] == [numbers.get(int(value), 5007) for _, _, value in turns]
    assert {one.Value.Value.NamespaceIndex for one in history} == {index}
    assert [one.SourceTimestamp.replace(tzinfo=UTC).timestamp() for one in history] == pytest.approx(
        [time_ns / 1e9 for time_ns, _, _ in turns], abs=1e-6
    )


async def test_what_no_specification_has_a_place_for_is_the_vendors(plant: OpcUaPlant) -> None:
    """The cause of a stop is a node of the vendor's namespace, named as a control names things."""
    async with Client(plant.url) as client:
        index = await client.get_namespace_index(VENDOR)
        assert await client.get_namespace_index(DI) > 0
        identifier = vendor_node(LATHE, "reason")
        assert identifier == "/lathe-3/Hmi/Alarm/stopCause"
        node = client.get_node(ua.NodeId(ua.String(identifier), ua.Int16(index)))
        assert await node.read_value() == last(LATHE, "reason")


async def test_a_job_counts_from_zero() -> None:
    """At each new product there is a new order and PartsGood begins again; the jobs' counts are all good parts."""
    story = [event for event in lived(CENTRE) if event[1] in ("order", "parts_good")]
    jobs: list[list[int]] = []
    for _, metric, value in story:
        if metric == "order":
            jobs.append([])
        elif jobs:
            jobs[-1].append(int(value))
    assert len(jobs) > 1
    assert all(job == list(range(job[0], len(job) + job[0])) and job[0] <= 1 for job in jobs)
    plain = told(lives(SCENARIO.models, CENTRE, 23, START), SCENARIO.models[CENTRE], 23, START)
    good = [v for t, m, v in takewhile(lambda event: event[0] < START + 2 * HOUR_NS, plain) if m == "parts_good"]
    assert sum(job[-1] for job in jobs) == good[-1]


async def test_lamps_tools_and_alarms_are_discovered_and_told(plant: OpcUaPlant) -> None:
    """Nothing of them is named in the plant file: the lamp that is lit, the life left of the tool, and a breakdown's
    alarm with its cause reach the sink as the process has them, from a server that takes 25 nodes in a request."""
    config = OpcUaConfig.model_validate_json(
        json.dumps({"kind": "opcua", "name": "x", "url": plant.url, "security": "None", "publishing_ms": 50.0,
                    "machines": [{"asset": LATHE, "machine": "lathe-3"}]})
    )  # fmt: skip
    sink = MemorySink()
    breakdown = next(
        event for event in life(LATHE) if event[0] > START + 2 * HOUR_NS and event[1:] == ("alarm", 700)
    )  # the first of what nobody has heard yet
    until_ns = breakdown[0] + 1
    later = takewhile(lambda event: event[0] < until_ns, life(LATHE))
    news = [event for event in later if event[0] >= START + 2 * HOUR_NS]
    async with collecting(config, sink, Plant(assets=(Asset(path=LATHE, name="lathe"),))):
        await until(lambda: {"stacklight", "tool_life"} <= {sample.metric for sample in sink.samples})
        await plant.write(LATHE, news)
        await until(lambda: any(sample.metric == "alarm" for sample in sink.samples))
        told = {(one.metric, one.time_ns): one for one in sink.samples}
        for time_ns, metric, value in news:
            if metric in ("stacklight", "tool_life", "alarm"):
                await until(lambda key=(metric, time_ns): key in {(s.metric, s.time_ns) for s in sink.samples})
                told = {(one.metric, one.time_ns): one for one in sink.samples}
                one = told[metric, time_ns]
                assert (one.text if metric == "stacklight" else one.value) == pytest.approx(value)
    assert any(metric == "stacklight" for _, metric, _ in news)
    cause = next(value for time_ns, metric, value in reversed(news) if metric == "reason")
    assert told["alarm", breakdown[0]].text == f"lathe-3: {cause}"
    assert told["stacklight", breakdown[0]].text == "red"


async def test_an_alarm_is_unheard_until_a_client_has_acknowledged_it(plant: OpcUaPlant) -> None:
    """Nobody listens to the first, nor to the third, raised when the client has gone: the second is heard."""
    after = START + 90 * HOUR_NS
    first, second, third = ((CENTRE, "alarm", after + number * HOUR_NS) for number in range(3))
    await plant.write(CENTRE, [(first[2], "alarm", 500)])
    assert first in plant.alarms.unheard
    sink = MemorySink()
    config = OpcUaConfig.model_validate_json(
        json.dumps({"kind": "opcua", "name": "x", "url": plant.url, "security": "None", "publishing_ms": 50.0,
                    "machines": [{"asset": CENTRE, "machine": "centre-3"}]})
    )  # fmt: skip
    async with collecting(config, sink, Plant(assets=(Asset(path=CENTRE, name="centre"),))):
        await until(lambda: "state" in {sample.metric for sample in sink.samples})
        await plant.write(CENTRE, [(second[2], "alarm", 500)])
        await until(lambda: second not in plant.alarms.unheard)
        assert second[2] in {sample.time_ns for sample in sink.samples if sample.metric == "alarm"}
    await plant.write(CENTRE, [(third[2], "alarm", 500)])
    assert {first, third} == {one for one in plant.alarms.unheard if one[2] >= after}


async def test_a_request_beyond_the_limit_is_refused(plant: OpcUaPlant) -> None:
    """The server says how much it takes, and takes no more: 25 nodes are read, 26 are too many operations."""
    async with Client(plant.url) as client:
        stated = await client.get_node(
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
        ).read_value()
        nodes = [client.nodes.server_state] * 26
        assert len(await client.read_values(nodes[:25])) == stated == 25
        with pytest.raises(ua.uaerrors.BadTooManyOperations):
            await client.read_values(nodes)


async def test_a_queue_is_as_long_as_asked_and_no_longer_than_the_server_keeps(plant: OpcUaPlant) -> None:
    """A server that queues 150 values a node answers a client that asks for 1,000 with 150, and one for 20 with 20."""
    async with Client(plant.url) as client:
        node = await found(client, f"lathe-3/{STATISTICS}")
        subscription = await client.create_subscription(1000.0, object())  # type: ignore[arg-type]  # it hears nothing
        asked = ua.CreateMonitoredItemsParameters(SubscriptionId=subscription.subscription_id)
        asked.ItemsToCreate = [
            ua.MonitoredItemCreateRequest(
                ItemToMonitor=ua.ReadValueId(node, ua.AttributeIds.Value),
                RequestedParameters=ua.MonitoringParameters(ClientHandle=ua.UInt32(size), QueueSize=ua.UInt32(size)),
            )
            for size in (1000, 20)
        ]
        answered = await client.uaclient.create_monitored_items(asked)
    assert [one.RevisedQueueSize for one in answered] == [150, 20]


async def test_a_secure_server_speaks_to_nobody_in_clear(tmp_path: Path) -> None:
    """Only signed endpoints are offered; with the certificate that it shows, a client reads what it encrypts."""
    manners = OpcUaServer(secure=True)
    server = OpcUaPlant(0, {"a/b/c/d": ("parts",)}, life, manners=manners, certificates=tmp_path / "server")
    await server.start()
    await server.write("a/b/c/d", [(START, "parts", 12)])
    asking = Client(server.url)
    offered = {one.SecurityMode.name for one in await asking.connect_and_get_server_endpoints()}
    assert offered == {"Sign", "SignAndEncrypt"}
    with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
        async with Client(server.url):
            pass
    config = OpcUaConfig.model_validate_json(
        json.dumps({"kind": "opcua", "name": "x", "url": server.url, "server_certificate": str(server.certificate),
                    "certificates": str(tmp_path / "own"), "publishing_ms": 50.0,
                    "nodes": [{"node": "nsu=urn:km0:simulators:machine;s=a/b/c/d/parts", "asset": "a/b/c/d",
                               "metric": "parts"}]})
    )  # fmt: skip
    sink = MemorySink()
    async with collecting(config, sink, Plant(assets=(Asset(path="a/b/c/d", name="d"),))):
        await until(lambda: [sample.value for sample in sink.samples if sample.metric == "parts"] == [12.0])
    await server.stop()
