"""What an MQTT session promises beyond the contract of every collector, against a real mosquitto."""

import asyncio
import json
import os
import pty
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from collectors.mqtt import MqttConfig, connecting
from collectors.mqtt.collector import MqttCollector
from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.json import JsonDecoder
from telemetry.errors import ConfigError, SourceError
from telemetry.health import Component, Condition, Health
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.bench import ASSET, FORMAT_A, PLANT, MqttBench, Publisher, config, publish_packet, reading
from tests.collectors.mqtt.troubles import FreezingProxy
from tests.contracts.collector import SizedSink, running, until
from tests.support import Mosquitto, free_port, require_program, wait_for_port

PARTS = f"{ASSET}/parts"
T = 1_795_305_600_000_000_000


def build(settings: MqttConfig) -> tuple[MqttCollector, Component]:
    health = Health()
    return settings.build(PLANT, health), health.component(settings.name)


async def failure(settings: MqttConfig) -> str:
    """Why running the collector fails."""
    with pytest.raises(SourceError) as raised:
        await asyncio.wait_for(build(settings)[0].run(SizedSink()), 10)
    return str(raised.value)


def publish(port: int, *messages: tuple[str, bytes], retain: bool = False) -> None:
    publisher = Publisher(port)
    publisher.publish(list(messages), retain=retain)
    publisher.close()


class Bench(MqttBench):
    """Topics entries of a test's own."""

    def with_topics(self, *topics: dict[str, Any]) -> "Bench":
        return Bench(self.broker, **(self.changes | {"topics": list(topics)}))


# --- batching and bounds ---


async def test_what_gathers_during_a_put_goes_in_one_put(mosquitto: Mosquitto) -> None:
    """Thirty messages that came while the sink was committing are one put: one commit, not thirty."""
    bench, sink = MqttBench(mosquitto), SizedSink()
    async with running(bench, sink) as component:
        sink.block()
        known = await bench.publish(1)
        await until(lambda: sink.waiting > 0)
        known |= await bench.publish(30)
        await asyncio.sleep(0.2)
        sink.unblock()
        await sink.holds(known)
        assert sink.sizes == [1, 30]
        assert component.counted("messages") == component.counted("samples") == 31


async def test_bytes_in_flight_are_bounded_too(mosquitto: Mosquitto) -> None:
    """Few large messages reach the bound of bytes before that of messages; one longer than the bound passes alone."""
    bench, sink = MqttBench(mosquitto, max_in_flight_bytes=4096), SizedSink()
    padded = [(PARTS, json.dumps({"value": n, "time": T + n, "padding": "x" * 6000}).encode()) for n in range(8)]
    async with running(bench, sink):
        sink.block()
        await asyncio.to_thread(publish, mosquitto.port, *padded)
        await until(lambda: sink.waiting > 0)
        await asyncio.sleep(0.2)
        sink.unblock()
        await sink.until(samples=8)
        assert sink.sizes == [1] * 8


async def test_a_bug_in_a_decoder_sets_its_message_aside(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that raises what it must not costs that message, with the bug in the reason, and nothing else."""
    right = JsonDecoder.decode

    def wrong(self: JsonDecoder, message: Message) -> list[Sample | MessageError]:
        if b'"value": 1.0' in message.payload:
            raise ZeroDivisionError("oops")
        return right(self, message)

    monkeypatch.setattr(JsonDecoder, "decode", wrong)
    bench, sink = MqttBench(mosquitto), SizedSink()
    async with running(bench, sink) as component:
        await bench.publish(3)
        await sink.until(samples=2, dead_letters=1)
        assert "ZeroDivisionError('oops')" in sink.dead_letters[0].reason
        await until(lambda: component.counted("refused_bug") == 1)


async def test_the_good_readings_of_a_message_are_put_and_the_whole_is_set_aside(mosquitto: Mosquitto) -> None:
    """A batch with one absurd reading: the others are put; the dead letter has topic, reason and the payload whole."""
    bench, sink = MqttBench(mosquitto), SizedSink()
    payload = json.dumps([{"value": 1, "time": T}, {"value": -5, "time": T + 1}, {"value": 2, "time": T + 2}]).encode()
    async with running(bench, sink) as component:
        await asyncio.to_thread(publish, mosquitto.port, (PARTS, payload))
        await sink.until(samples=2, dead_letters=1)
        (letter,) = sink.dead_letters
        assert (letter.source, letter.raw) == (f"mqtt:{PARTS}", payload)
        assert "parts -5 part is outside" in letter.reason
        await until(lambda: component.counted("refused_gate") == 1)


# --- subscriptions of the session ---


async def test_a_new_topics_entry_is_subscribed_to_in_an_existing_session(mosquitto: Mosquitto) -> None:
    """An entry added to the plant file takes effect although the broker resumes the old session."""
    bench, sink = Bench(mosquitto), SizedSink()
    printer = {"dialect": "json", "topic": "p/{name}", "asset": "km0/additive/print-hall/{name}", "metric": "parts"}
    async with running(bench, sink):
        pass
    async with running(bench.with_topics(FORMAT_A, printer), sink) as component:
        assert component.snapshot()["detail"] == "session resumed"
        await asyncio.to_thread(publish, mosquitto.port, ("p/printer-1", reading(T, 1)))
        await sink.until(samples=1)


SHARED = {"share": "g", "client_id": "one"}


@pytest.mark.parametrize(
    ("old", "changes"),
    [("old/#", {}), ("old/+/b", {}), ("#", {}), ("+/a/b", {}), ("old/+/b", SHARED), ("#", SHARED)],
)
async def test_a_removed_topics_entry_is_taken_out_of_the_session(
    mosquitto: Mosquitto, old: str, changes: dict[str, str]
) -> None:
    """Messages for an entry that is gone are counted and passed, and its subscription ends; others stay."""
    bench, sink = Bench(mosquitto, **changes), SizedSink()
    entry = {"dialect": "value", "topic": old, "asset": ASSET, "metric": "parts"}
    async with running(bench.with_topics(FORMAT_A, entry), sink):
        pass
    async with running(bench.with_topics(FORMAT_A), sink) as component:
        await asyncio.to_thread(publish, mosquitto.port, ("old/a/b", b"1"))
        await until(lambda: component.counted("not_subscribed") == 1)
        came = -1.0
        async with asyncio.timeout(30):
            while came != component.counted("not_subscribed"):  # until one no longer comes
                came = component.counted("not_subscribed")
                await asyncio.to_thread(publish, mosquitto.port, ("old/a/b", b"2"))
                await sink.holds(await bench.publish(5))
        assert sink.dead_letters == []


async def test_a_retained_message_keeps_its_own_time_and_comes_once(mosquitto: Mosquitto) -> None:
    """A retained value is old: it is put with the time it carries, and not again when we reconnect."""
    await asyncio.to_thread(publish, mosquitto.port, (PARTS, reading(T, 7)), retain=True)
    bench, sink = MqttBench(mosquitto), SizedSink()
    bench.next(1)
    async with running(bench, sink):
        await sink.holds({(ASSET, "parts", T): 7.0})
        assert sink.samples[0].quality == Quality.GOOD
    async with running(bench, sink) as component:
        await sink.holds(await bench.publish(1))
        assert component.counted("messages") == 1


# --- connections that are none ---


async def test_a_half_open_connection_is_noticed(mosquitto: Mosquitto) -> None:
    """When a cut leaves the connection open with nobody behind it, 1.5 keep-alives of silence end it."""
    async with FreezingProxy(mosquitto.port).serving() as proxy:
        collector, component = build(config(proxy.port, keepalive_s=1))
        task = asyncio.create_task(collector.run(SizedSink()))
        await until(lambda: component.condition is Condition.OK)
        await asyncio.sleep(1.7)
        assert not task.done(), "pings keep an idle connection"
        proxy.frozen = True
        with pytest.raises(SourceError, match="half-open"):
            await asyncio.wait_for(task, 3)


async def test_a_sink_that_stands_still_for_long_does_not_break_the_connection(mosquitto: Mosquitto) -> None:
    """While nothing is read because the bound is reached, pings go on and our own silence is not the broker's."""
    bench, sink = MqttBench(mosquitto, keepalive_s=1), SizedSink()
    async with running(bench, sink) as component:
        sink.block()
        known = await bench.publish(4 * bench.bound)
        await asyncio.sleep(3)
        sink.unblock()
        await sink.holds(known)
        assert component.counted("reconnects") == 0
        assert len(sink.samples) == len(known), "nothing came twice"


async def test_a_second_client_of_the_same_id_is_told_apart(mosquitto: Mosquitto) -> None:
    """A broker ends the older of two clients with one id; the reason says where to look."""
    first, component = build(config(mosquitto.port, client_id="twin"))
    task = asyncio.create_task(first.run(SizedSink()))
    await until(lambda: component.condition is Condition.OK)
    second = asyncio.create_task(build(config(mosquitto.port, client_id="twin"))[0].run(SizedSink()))
    with pytest.raises(SourceError, match="'twin' the client id of another client"):
        await asyncio.wait_for(task, 5)
    second.cancel()


async def test_what_is_no_broker_is_said_to_be_none() -> None:
    """A port where nobody listens, and one where something else than MQTT answers, are told apart."""
    port = free_port()
    assert "cannot connect to 127.0.0.1" in await failure(config(port))

    async def http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(http, "127.0.0.1", port):
        assert "broke" in await failure(config(port))


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("flags", [0x30, 0x32])
async def test_a_message_without_a_topic_breaks_the_connection_and_no_more(
    monkeypatch: pytest.MonkeyPatch, fast: bool, flags: int
) -> None:
    """Topic aliases of MQTT 5, though we allow the broker none: never acknowledged, and never the end of us."""
    monkeypatch.setattr(connecting, "FITS", fast)

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00")
        await reader.read(1000)
        packet_id = b"\x00\x07" if flags & 2 else b""
        body = b"\x00\x00" + packet_id + b"\x03\x23\x00\x01" + b"{}"
        writer.write(b"\x90\x04\x00\x01\x00\x01" + bytes([flags, len(body)]) + body)
        heard.append(await reader.read(1000))
        writer.close()

    heard: list[bytes] = []
    async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
        said = await failure(config(server.sockets[0].getsockname()[1]))
        await until(lambda: heard != [])
    assert "broke" in said or "breaks the protocol" in said
    assert heard == [b""], "nothing was acknowledged"


async def test_a_name_that_is_not_known_is_said() -> None:
    """A host name without an address is a SourceError: the name server may know it again later."""
    settings = MqttConfig.model_validate({**config(1883).model_dump(), "host": "no-such-host.invalid"})
    assert "cannot connect to no-such-host.invalid:1883" in await failure(settings)


async def test_a_name_that_can_be_none_is_said() -> None:
    """From the command line no plant file is checked: the resolver refuses such a name before it asks anybody."""
    said = await failure(config(1883).model_copy(update={"host": "broker..local"}))
    assert "cannot connect to broker..local:1883" in said


async def test_a_host_that_swallows_connections_does_not_hold_up_the_end() -> None:
    """Cancelled in the middle of connecting to an address that never answers, the collector ends at once."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        callers = [socket.socket() for _ in range(3)]
        for caller in callers:  # they fill the backlog; the kernel drops who calls after them
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        task = asyncio.create_task(build(config(full.getsockname()[1]))[0].run(SizedSink()))
        await asyncio.sleep(0.2)
        assert not task.done()
        started = monotonic()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert monotonic() - started < 0.5
        for caller in callers:
            caller.close()


# --- who we are, who the broker is ---


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def guarded(folder: Path, *lines: str) -> AsyncIterator[int]:
    """The port of a mosquitto with these lines in its configuration."""
    port = free_port()
    user = ["user root"] if os.geteuid() == 0 else []
    (folder / "guarded.conf").write_text("\n".join([f"listener {port} 127.0.0.1", *lines, *user, ""]))
    quiet = asyncio.subprocess.DEVNULL
    program = require_program("mosquitto")
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(folder / "guarded.conf"), stdout=quiet, stderr=quiet
    )
    try:
        await asyncio.to_thread(wait_for_port, port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def test_tls_with_certificates_on_both_sides(tmp_path: Path, authority: trustme.CA) -> None:
    """With the right authority and our certificate, a large message comes whole; without either, the reason is said."""
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("collector")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    lines = [f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key"]
    ours = {name: str(tmp_path / file) for name, file in (("certificate", "client.pem"), ("key", "client.key"))}
    async with guarded(tmp_path, *lines, "require_certificate true", "allow_anonymous true") as port:
        collector, component = build(config(port, tls={"ca": str(tmp_path / "ca.pem"), **ours}))
        sink = SizedSink()
        task = asyncio.create_task(collector.run(sink))
        await until(lambda: component.condition is Condition.OK)
        batch = json.dumps([{"value": n, "time": T + n} for n in range(3000)]).encode()
        await asyncio.to_thread(publish_by_tls, port, tmp_path, [(PARTS, batch), (PARTS, batch)])
        await sink.until(samples=6000)
        task.cancel()
        assert "certificate verify failed" in await failure(
            config(port, tls={"ca": str(tmp_path / "other.pem"), **ours})
        )
        assert str(port) in await failure(config(port, tls={"ca": str(tmp_path / "ca.pem")}))


def publish_by_tls(port: int, folder: Path, messages: list[tuple[str, bytes]]) -> None:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1") as connection:
        connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        for number, (topic, payload) in enumerate(messages, 1):
            connection.sendall(publish_packet(topic, payload, number))
            connection.recv(4)


async def test_a_wrong_password_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right password connects; a wrong one is a SourceError that says so; a missing secret stops the start."""
    (tmp_path / "users").write_text("collector:open sesame\n")
    hashing = await asyncio.create_subprocess_exec(
        require_program("mosquitto_passwd", "mosquitto"), "-U", str(tmp_path / "users")
    )
    assert await hashing.wait() == 0
    async with guarded(tmp_path, f"password_file {tmp_path}/users") as port:
        settings = config(port, username="collector", password={"env": "MQTT_PASSWORD"})
        with pytest.raises(ConfigError, match="MQTT_PASSWORD is not set"):
            build(settings)
        monkeypatch.setenv("MQTT_PASSWORD", "wrong")
        assert "refuses us: Not authorized" in await failure(settings)
        old = settings.model_copy(update={"protocol": "3.1.1"})
        assert "refuses us: Not authorized" in await failure(old)
        monkeypatch.setenv("MQTT_PASSWORD", "open sesame")
        collector, component = build(settings)
        task = asyncio.create_task(collector.run(SizedSink()))
        await until(lambda: component.condition is Condition.OK)
        task.cancel()


async def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """A path that is wrong is found when the plant starts, not at the first connection."""
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        build(config(1883, tls={"ca": str(tmp_path / "missing.pem")}))


AT_A_TERMINAL = """
import json, os, sys
os.open(os.ttyname(0), os.O_RDWR)  # now it is this session's terminal
from tests.collectors.mqtt.bench import PLANT, config
from telemetry.errors import ConfigError
from telemetry.health import Health
try:
    config(1883, tls=json.loads(sys.argv[1])).build(PLANT, Health())
except ConfigError as error:
    print(error, flush=True)
"""


def test_an_encrypted_key_without_its_password_is_not_asked_for_at_the_terminal(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """OpenSSL would ask for it, at every connection, and the whole process would wait until somebody types it."""
    own = authority.issue_cert("km0")
    own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    locked = serialization.BestAvailableEncryption(b"geheim")
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (tmp_path / "own.key").write_bytes(written)
    files = {"certificate": str(tmp_path / "own.pem"), "key": str(tmp_path / "own.key")}
    ours, theirs = pty.openpty()
    starting = subprocess.Popen([sys.executable, "-c", AT_A_TERMINAL, json.dumps(files)], stdin=theirs, stdout=theirs,
                                stderr=theirs, start_new_session=True)  # fmt: skip
    os.close(theirs)
    said = b""
    with suppress(OSError):  # it ended
        while b"pass phrase" not in said and (more := os.read(ours, 1000)):
            said += more
    os.close(ours)
    starting.kill()
    starting.wait()
    assert b"say where its password is: key_password" in said


async def test_messages_that_share_a_tls_record_are_all_read(tmp_path: Path, authority: trustme.CA) -> None:
    """What TLS decrypted ahead wakes no selector: 250 messages in one record come without a further byte."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)  # CONNECT
        writer.write(b"\x20\x02\x00\x00")
        subscribe = await reader.read(4096)
        record = b"\x90\x03" + subscribe[2:4] + b"\x01"
        record += b"".join(publish_packet(PARTS, b'{"value":%d}' % n, n + 1) for n in range(250))
        assert len(record) < 16384, "one record"
        writer.write(record)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        collector, _ = build(config(port, protocol="3.1.1", tls={"ca": str(tmp_path / "ca.pem")}))
        sink = SizedSink()
        task = asyncio.create_task(collector.run(sink))
        await sink.until(samples=250, seconds=5)
        task.cancel()
        await asyncio.wait([task])
