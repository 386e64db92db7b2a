"""Wireshark, which knows nothing of us, reads what our machines put on the wire."""

import asyncio
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client

from simulators.demo import MILL
from simulators.mqtt_plant import MqttPublisher
from simulators.opcua_plant import NAMESPACE, OpcUaPlant
from simulators.payloads import Message, value_messages
from simulators.sparkplug_edge import SparkplugEdge
from simulators.timeline import Event, machine_events
from tests.simulators.packets import Tap
from tests.support import Mosquitto, require_program

T0 = 1_795_000_000 * 10**9
PRESS = "km0/fabrication/cell-2/press-1"


async def test_wireshark_reads_mqtt_5_with_acknowledgements(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """CONNECT of MQTT 5, each value in a PUBLISH of QoS 1 on its topic, acknowledged with 0, and nothing malformed."""
    require_program("tshark")
    messages = value_messages(PRESS, [(T0, "state", 3), (T0, "parts", 7), (T0, "power", 7400.5)])
    accepted: list[Message] = []
    async with Tap(mosquitto.port) as tap:
        publisher = MqttPublisher("127.0.0.1", tap.port, accepted.append)
        await publisher.start()
        for message in messages:
            await publisher.publish(message)
        await publisher.settled()
        await publisher.stop()
    fields = ("mqtt.msgtype", "mqtt.ver", "mqtt.topic", "mqtt.qos", "mqtt.msg", "mqtt.puback.reason_code")
    rows = await asyncio.to_thread(tap.dissected, tmp_path, "mqtt", *fields)
    kinds, versions, topics, levels, bodies, reasons = ([one for row in rows for one in row[n]] for n in range(6))
    assert kinds[:2] == ["1", "2"]  # CONNECT, CONNACK
    assert (kinds.count("3"), kinds.count("4"), kinds[-1]) == (3, 3, "14")  # PUBLISH, PUBACK, DISCONNECT
    assert versions == ["5"]
    assert topics == [f"{PRESS}/state", f"{PRESS}/parts", f"{PRESS}/power"]
    assert levels == ["1", "1", "1"]
    assert [bytes.fromhex(one) for one in bodies] == [message.payload for message in messages]
    assert set(reasons) <= {"0", "16"}  # taken, or taken though nobody listens
    assert accepted == messages


async def test_wireshark_reads_the_topics_of_a_sparkplug_session(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Births before data and a death at the end, QoS 0 but for the death, of which the will says the same. The broker
    restarts: every CONNECT, and not the first alone, is of MQTT 5 with Clean Start and no lasting session; and who goes
    away on purpose has the will published (DISCONNECT with reason code 4), as the specification wants it."""
    require_program("tshark")
    taken: list[Event] = []
    async with Tap(mosquitto.port) as tap:
        devices = {"press-1": (PRESS, ("state", "parts"))}
        edge = SparkplugEdge("127.0.0.1", tap.port, "line-1", "gateway", devices, lambda _, told: taken.extend(told))
        await edge.start()
        edge.begin(PRESS, [(T0, "state", 2), (T0, "parts", 0)], T0)
        await edge.followed(20)
        edge.publish({PRESS: [(T0 + 10**9, "state", 3)]}, T0 + 10**9)
        await edge.settled()
        await asyncio.to_thread(mosquitto.stop)
        async with asyncio.timeout(20):
            while edge._born:  # noqa: ASYNC110 - paho's thread ends it
                await asyncio.sleep(0.02)
        await asyncio.to_thread(mosquitto.start)
        edge.publish({PRESS: [(T0 + 2 * 10**9, "parts", 1)]}, T0 + 2 * 10**9)
        await edge.settled()
        await edge.stop()
    fields = ("mqtt.msgtype", "mqtt.topic", "mqtt.qos", "mqtt.willtopic", "mqtt.ver", "mqtt.conflag.cleansess")
    rest = ("mqtt.property_id", "mqtt.prop_number", "mqtt.disconnect.reason_code")
    rows = await asyncio.to_thread(tap.dissected, tmp_path, "mqtt", *fields, *rest)
    published = [pair for row in rows if set(row[0]) == {"3"} for pair in zip(row[1], row[2], strict=True)]
    said = [(topic.removeprefix("spBv1.0/line-1/"), qos) for topic, qos in published if topic.startswith("spBv1.0/")]
    births, data = [("NBIRTH/gateway", "0"), ("DBIRTH/gateway/press-1", "0")], [("DDATA/gateway/press-1", "0")]
    assert said == [*births, *data, *births, *data, ("NDEATH/gateway", "1")]
    assert [row[1] for row in rows if row[0] == ["8"]] == [["spBv1.0/line-1/NCMD/gateway"]] * 2
    connects = [row[3:8] for row in rows if row[0] == ["1"]]
    will, session_expiry, yes = ["spBv1.0/line-1/NDEATH/gateway"], 17, {"1", "True"}  # as versions of tshark write it
    assert [(to, version, int(what, 0), value) for to, version, _, [what], value in connects] == [
        (will, ["5"], session_expiry, ["0"])
    ] * 2
    assert all(set(clean) <= yes for _, _, clean, _, _ in connects)
    assert [[int(code, 0) for code in row[8]] for row in rows if row[0] == ["14"]] == [[4]]
    assert {(T0 + 10**9, "state", 3), (T0 + 2 * 10**9, "parts", 1)} <= set(taken)


async def test_wireshark_reads_what_our_opcua_server_answers(tmp_path: Path) -> None:
    """Browse, Read and HistoryRead are answered by their responses, and the value is the Double that was written."""
    require_program("tshark")
    life = [(T0, "state", 3), (T0 + 10**9, "spindle_load", 46.25)]
    server = OpcUaPlant(0, {MILL.path: ("state", "spindle_load")}, lambda _: machine_events(MILL, 1, T0), lived=False)
    await server.start()
    await server.write(MILL.path, life)
    async with Tap(server.port) as tap, Client(f"opc.tcp://127.0.0.1:{tap.port}/km0/simulators") as client:
        index = await client.get_namespace_index(NAMESPACE)
        node = client.get_node(ua.NodeId(ua.String(f"{MILL.path}/spindle_load"), ua.Int16(index)))
        await client.nodes.objects.get_children()
        assert await node.read_value() == 46.25
        await node.read_raw_history(numvalues=5)
    await server.stop()
    rows = await asyncio.to_thread(
        tap.dissected, tmp_path, "opcua", "opcua.transport.type", "opcua.servicenodeid.numeric", "opcua.Double"
    )
    kinds, services, doubles = ([one for row in rows for one in row[n]] for n in range(3))
    assert kinds[:4] == ["HEL", "ACK", "OPN", "OPN"]
    for request, response in ((527, 530), (631, 634), (664, 667)):  # Browse, Read, HistoryRead (Part 6, binary ids)
        assert services.count(str(request)) == services.count(str(response)) > 0
    assert "46.25" in doubles
