"""Who we are and who the broker is: certificates, keys and passwords, against a guarded mosquitto."""

import asyncio
import json
import os
import pty
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from telemetry.errors import ConfigError
from telemetry.health import Condition
from tests.collectors.mqtt.bench import config, publish_packet
from tests.collectors.mqtt.sessions import PARTS, T, build, failure, guarded
from tests.contracts.collector import SizedSink, until
from tests.support import require_program


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


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
        monkeypatch.delenv("MQTT_PASSWORD", raising=False)
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
        await sink.until(samples=250)
        task.cancel()
        await asyncio.wait([task])
