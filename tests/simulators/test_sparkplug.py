"""The Sparkplug edge node of the packaging line, judged by mosquitto_sub and by a decoder that is not ours."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
import trustme

from simulators.scenario import open_scenario
from simulators.sparkplug_edge import SparkplugEdge
from simulators.sparkplug_payload import INT32, STRING, TypedValue, asks_for_birth, metric, payload
from simulators.timeline import Event
from telemetry.errors import SourceError
from tests.collectors.mqtt.sessions import guarded
from tests.simulators.sparkplug_judge import Ear, decoded
from tests.support import Mosquitto, require_program

FILLER, CAPPER = "km0/packaging/line-1/filler-1", "km0/packaging/line-1/capper-1"
GROUP = "km0.packaging.line-1"
METRICS = ("state", "product", "parts", "power")
DEVICES = {"filler-1": (FILLER, METRICS), "capper-1": (CAPPER, METRICS)}
T0 = 1_795_000_000_000 * 10**6
REBIRTH = bytes.fromhex("0880d095ffbc31121a0a144e6f646520436f6e74726f6c2f52656269727468200b7001")
"""The NCMD of the fact sheet of the specification, byte by byte."""


def at(ms: int) -> int:
    return T0 + ms * 10**6


@asynccontextmanager
async def edge_at(port: int, primary: str | None = None) -> AsyncIterator[tuple[SparkplugEdge, list[Event]]]:
    """A connected edge node with two machines that hold; and the events that its broker has taken."""
    taken: list[Event] = []
    edge = SparkplugEdge(
        "127.0.0.1", port, GROUP, "gateway", DEVICES, lambda _asset, events: taken.extend(events), primary
    )
    await edge.start()
    for path in (FILLER, CAPPER):
        edge.begin(path, [(T0, "state", 2), (T0, "product", "syrup"), (T0, "parts", 0)], T0)
    try:
        yield edge, taken
    finally:
        await edge.stop()


async def soon(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


def host_says(port: int, *, online: bool, stamp: int) -> Awaitable[None]:
    body = json.dumps({"online": online, "timestamp": stamp})
    return asyncio.to_thread(publish.single, "spBv1.0/STATE/host", body, 1, True, "127.0.0.1", port)


def test_a_death_and_a_request_for_births_are_the_published_bytes() -> None:
    """NDEATH with bdSeq 0 and the rebirth NCMD are those of the specification; no other message asks for births."""
    assert payload([metric(TypedValue(4, 0), name="bdSeq", birth=True)]).hex() == "120b0a05626453657120045800"
    assert asks_for_birth(REBIRTH)
    assert not asks_for_birth(REBIRTH[:-1] + b"\x00")
    for broken in (b"", b"\xff", REBIRTH[:9], b"\x12\x7f\x0a", bytes(range(256))):
        assert not asks_for_birth(broken)


def test_a_negative_number_is_two_s_complement() -> None:
    """Int32 −5 is 4294967291 in int_value; a null says only that it is one."""
    assert metric(TypedValue(INT32, -5)).hex() == "50fbffffff0f"
    assert metric(TypedValue(STRING, None)).hex() == "3801"


async def test_a_session_is_births_data_and_a_death_in_sequence(mosquitto: Mosquitto) -> None:
    """NBIRTH with seq 0, a DBIRTH for each device, data by alias alone with each value's own time, and NDEATH without
    seq: QoS 0 but for the death, nothing retained. What the broker has taken is told. The death comes from the node and
    once more from the broker, whom MQTT 5 has publish the will, too."""
    with Ear(mosquitto.port) as ear:
        async with edge_at(mosquitto.port) as (edge, taken):
            await edge.followed(20)
            edge.publish(
                {FILLER: [(at(10), "state", 3), (at(1500), "parts", 1), (at(1600), "power", 3210.5)]}, at(2000)
            )
            await edge.settled()
            assert [event[0] for event in taken][-3:] == [at(10), at(1500), at(1600)]
        await asyncio.to_thread(ear.wait, lambda: ear.kinds().count("NDEATH") == 2)
    assert ear.kinds() == ["NBIRTH", "DBIRTH", "DBIRTH", "DDATA", "NDEATH", "NDEATH"]
    assert [one.qos for one in ear.heard] == [0, 0, 0, 0, 1, 1]
    assert not any(one.retained for one in ear.heard)
    birth, filler, capper, data, death, will = decoded(ear.heard)
    assert death == will
    assert [one["seq"] for one in (birth, filler, capper, data)] == [0, 1, 2, 3]
    assert "seq" not in death
    bd_seq = [next(m["value"] for m in one["metrics"] if m["name"] == "bdSeq") for one in (birth, death)]
    assert bd_seq[0] == bd_seq[1]
    rebirth = next(m for m in birth["metrics"] if m["name"] == "Node Control/Rebirth")
    assert (rebirth["type"], rebirth["value"], rebirth.get("alias")) == ("Boolean", False, None)
    born = {m["name"]: m for m in filler["metrics"]}
    assert born["Status/StateCurrent"]["type"] == "Int32"
    assert born["Status/StateCurrent"]["value"] == 11  # PackML: Held
    assert born["Measurement/power"]["value"] is None
    aliases = [m["alias"] for one in (filler, capper) for m in one["metrics"]]
    assert len(set(aliases)) == len(aliases) == 8
    names = {m["alias"]: m["name"] for m in filler["metrics"]}
    told = [(names[m["alias"]], m["raw"], m["timestamp"]) for m in data["metrics"]]
    ms = T0 // 10**6
    assert told == [
        ("Status/StateCurrent", 6, ms + 10),
        ("Admin/ProdProcessedCount", 1, ms + 1500),
        ("Measurement/power", 3210.5, ms + 1600),
    ]
    assert all(not m.get("name") for m in data["metrics"])


async def test_a_host_that_asks_gets_births_again(mosquitto: Mosquitto) -> None:
    """After an NCMD all births come again, from seq 0, with the values in force and the same bdSeq."""
    with Ear(mosquitto.port, f"spBv1.0/{GROUP}/#") as ear:
        async with edge_at(mosquitto.port) as (edge, _):
            await edge.followed(20)
            edge.publish({FILLER: [(at(5), "parts", 7)]}, at(100))
            await edge.settled()
            command = f"spBv1.0/{GROUP}/NCMD/gateway"
            await asyncio.to_thread(publish.single, command, REBIRTH, hostname="127.0.0.1", port=mosquitto.port)
            await soon(lambda: edge.rebirths == 1)
            await asyncio.to_thread(ear.wait, lambda: ear.kinds().count("DBIRTH") == 4)
    births = [one for one in ear.heard if one.kind in ("NBIRTH", "DBIRTH")]
    first, *_, second, filler, _ = decoded(births)
    assert first["metrics"][0]["value"] == second["metrics"][0]["value"]
    assert (second["seq"], filler["seq"]) == (0, 1)
    parts = next(m for m in filler["metrics"] if m["name"] == "Admin/ProdProcessedCount")
    assert (parts["value"], parts["timestamp"]) == (7, T0 // 10**6 + 5)


async def test_a_birth_says_of_every_device_what_is_in_force_then(mosquitto: Mosquitto) -> None:
    """A birth that comes between what two devices have to say of the same minute knows both: a host says again, at the
    time of the birth, what that says is in force, and an older state of one of them would be a lie."""
    with Ear(mosquitto.port, f"spBv1.0/{GROUP}/DBIRTH/#") as ear:
        async with edge_at(mosquitto.port) as (edge, _):
            await edge.followed(20)
            edge._born = False  # as after a connection that has just come back
            edge.publish({FILLER: [(at(30_000), "parts", 7)], CAPPER: [(at(40_000), "parts", 6)]}, at(60_000))
            await asyncio.to_thread(ear.wait, lambda: len(ear.heard) == 4)
    for birth, parts in zip(decoded(ear.heard)[2:], (7, 6), strict=True):
        assert birth["timestamp"] == at(60_000) // 10**6
        assert next(m["value"] for m in birth["metrics"] if m["name"] == "Admin/ProdProcessedCount") == parts


async def test_an_uplink_that_is_lost_is_a_death_and_what_happened_comes_as_history(mosquitto: Mosquitto) -> None:
    """The broker publishes the will; back again, bdSeq is one higher and what was kept is_historical, in order."""
    with Ear(mosquitto.port) as ear:
        async with edge_at(mosquitto.port) as (edge, taken):
            await edge.followed(20)
            await edge.settled()
            await edge.cut()
            await asyncio.to_thread(ear.wait, lambda: ear.kinds()[-1:] == ["NDEATH"])
            edge.publish({FILLER: [(at(10), "parts", 1), (at(20), "parts", 2)]}, at(30))
            assert not [event for event in taken if event[0] > T0]
            await edge.mend()
            await edge.settled()
            edge.publish({FILLER: [(at(40), "parts", 3)]}, at(50))
            await edge.settled()
            assert {event[2] for event in taken if event[1] == "parts"} == {0, 1, 2, 3}
        await asyncio.to_thread(ear.wait, lambda: ear.kinds().count("NDEATH") == 3)
    said = decoded(ear.heard)
    bd_seqs = [m["value"] for one in said for m in one["metrics"] if m.get("name") == "bdSeq"]
    assert bd_seqs == [0, 0, 1, 1, 1]  # birth and will; birth, death and will
    parts = next(m["alias"] for m in said[1]["metrics"] if m["name"] == "Admin/ProdProcessedCount")
    told = [
        (m["raw"], m.get("isHistorical", False))
        for heard, one in zip(ear.heard, said, strict=True)
        for m in one["metrics"]
        if heard.kind == "DDATA" and m["alias"] == parts and m["timestamp"] > T0 // 10**6
    ]
    assert told == [(1, True), (2, True), (3, False)]


async def test_an_edge_node_waits_for_its_primary_host(mosquitto: Mosquitto) -> None:
    """Before STATE says online there is no birth; when it says offline the node dies, keeps, and is born again after
    the next online. A STATE older than the last is not believed."""
    with Ear(mosquitto.port, f"spBv1.0/{GROUP}/#") as ear:
        async with edge_at(mosquitto.port, primary="host") as (edge, taken):
            with pytest.raises(SourceError, match="'host' is not online"):
                await edge.followed(0.2)
            assert not ear.heard
            await host_says(mosquitto.port, online=True, stamp=1000)
            await edge.followed(20)
            await host_says(mosquitto.port, online=False, stamp=999)
            edge.publish({FILLER: [(at(10), "parts", 1)]}, at(30))
            await edge.settled()
            assert "NDEATH" not in ear.kinds()
            await host_says(mosquitto.port, online=False, stamp=1001)
            await asyncio.to_thread(ear.wait, lambda: "NDEATH" in ear.kinds())
            edge.publish({FILLER: [(at(20), "parts", 2)]}, at(30))
            await host_says(mosquitto.port, online=True, stamp=1002)
            await edge.settled()
            assert {event[2] for event in taken if event[1] == "parts"} == {0, 1, 2}
    assert ear.kinds().count("NBIRTH") == 2


async def test_a_guarded_broker_lets_in_who_knows_its_password_and_by_tls(tmp_path: Path) -> None:
    """With the authority and the password a session is born; a wrong password is refused with the broker's reason, a
    strange certificate with OpenSSL's, and what is no certificate before anything is tried."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    users = tmp_path / "users"
    hashing = [require_program("mosquitto_passwd", "mosquitto"), "-b", "-c", str(users), "gateway", "sesame"]
    await asyncio.to_thread(subprocess.run, hashing, check=True, capture_output=True)
    users.chmod(0o644)
    tls = [f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key"]
    async with guarded(tmp_path, *tls, f"password_file {users}", "allow_anonymous false") as port:

        def edge(password: str, ca: str) -> SparkplugEdge:
            return SparkplugEdge(
                "127.0.0.1", port, GROUP, "gateway", DEVICES, lambda *_: None,
                login=("gateway", password), ca=tmp_path / ca,
            )  # fmt: skip

        known = edge("sesame", "ca.pem")
        await known.start(20)
        await known.followed(20)
        await known.stop()
        with pytest.raises(SourceError, match="refused the connection: Not authorized"):
            await edge("open", "ca.pem").start(20)
        with pytest.raises(SourceError, match=f"127.0.0.1:{port} within 2 s: .*certificate verify failed"):
            await edge("sesame", "other.pem").start(2)
        with pytest.raises(SourceError, match="users is no PEM file"):
            edge("sesame", "users")


def test_the_packaging_line_has_no_word_for_blocked() -> None:
    """PackML's Suspended is one word for both: the line tells BLOCKED as STARVED, and the truth knows both."""
    scenario = open_scenario("packaging-line")
    model = scenario.models["km0/packaging/line-1/labeller-1"]
    told = {model.told(hazard.state).name for hazard in model.hazards}
    assert "BLOCKED" not in told
    assert "STARVED" in told
