"""What an MQTT session promises beyond the contract of every collector, against a real mosquitto. TLS and passwords:
test_session_tls.py."""

import asyncio
import json
import socket
from typing import Any

import pytest

from collectors.mqtt import MqttConfig, connecting
from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.json import JsonDecoder
from telemetry.errors import SourceError
from telemetry.health import Condition
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.bench import ASSET, FORMAT_A, MqttBench, Publisher, config, reading
from tests.collectors.mqtt.sessions import PARTS, T, build, failure
from tests.collectors.mqtt.troubles import FreezingProxy
from tests.contracts.collector import SizedSink, running, until
from tests.support import Mosquitto, free_port


def publish(port: int, *messages: tuple[str, bytes], retain: bool = False) -> None:
    publisher = Publisher(port)
    publisher.publish(list(messages), retain=retain)
    publisher.close()


class Bench(MqttBench):
    """Topics entries of a test's own."""

    def with_topics(self, *topics: dict[str, Any]) -> "Bench":
        return Bench(self.broker, **(self.changes | {"topics": list(topics)}))


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


async def test_a_half_open_connection_is_noticed(mosquitto: Mosquitto) -> None:
    """When a cut leaves the connection open with nobody behind it, 1.5 keep-alives of silence end it."""
    async with FreezingProxy(mosquitto.port).serving() as proxy:
        collector, component = build(config(proxy.port, keepalive_s=3))
        task = asyncio.create_task(collector.run(SizedSink()))
        await until(lambda: component.condition is Condition.OK)
        await asyncio.sleep(5)  # longer than the 4.5 s of silence that end it
        assert not task.done(), "pings keep an idle connection"
        proxy.frozen = True
        with pytest.raises(SourceError, match="half-open"):
            await asyncio.wait_for(task, 45)


async def test_a_sink_that_stands_still_for_long_does_not_break_the_connection(mosquitto: Mosquitto) -> None:
    """While nothing is read because the bound is reached, pings go on and our own silence is not the broker's."""
    bench, sink = MqttBench(mosquitto, keepalive_s=3), SizedSink()
    async with running(bench, sink) as component:
        sink.block()
        known = await bench.publish(4 * bench.bound)
        await asyncio.sleep(5)
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
        await asyncio.wait_for(task, 45)
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
        task.cancel()
        await asyncio.wait([task], timeout=3)  # connecting would go on for longer
        assert task.cancelled()
        for caller in callers:
            caller.close()
