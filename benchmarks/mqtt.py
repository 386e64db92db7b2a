"""MQTT end to end: broker → decode, gate → spool with fsync → acknowledgement, beside what else can be had.

First in every row's run stands the wall: what the same broker delivers to a raw socket whose reader only counts bytes
(and at QoS 1 acknowledges). Another process publishes as fast as the broker takes it; "backlog": the messages wait in
the session of a client that was away, and only their delivery is timed. CPU time is that of the reader's process.
aiomqtt takes part where it is installed (`uv pip install aiomqtt`); it is no dependency.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

from benchmarks import Row
from benchmarks.measure import Cost, in_turn
from benchmarks.mqtt_load import Load, publish, waiting_session
from benchmarks.mqtt_readers import aiomqtt_loop, bare_paho, collector, raw_socket
from simulators.broker import Broker, broker

LOADS: Final = (
    Load("JSON", qos=1),
    Load("JSON", qos=0, messages=200_000),
    Load("JSON, backlog", qos=1, backlog=True),
    Load("JSON", qos=1, topics=10_000),
    Load("JSON", qos=0, topics=10_000),
    Load("JSON, 10 readings per message", qos=1, readings=10, messages=20_000),
    Load("JSON, 10 readings per message", qos=0, readings=10, messages=20_000),
    Load("value", qos=1, dialect="value"),
    Load("value", qos=0, dialect="value"),
    Load("value", qos=1, dialect="value", topics=10_000),
    Load("Sparkplug, 1 metric per message", qos=0, dialect="sparkplug"),
    Load("Sparkplug, 10 metrics per message", qos=0, dialect="sparkplug", readings=10),
    Load("Sparkplug, 10 metrics per message", qos=1, dialect="sparkplug", readings=10),
    Load("Sparkplug, 10 metrics per message", qos=0, dialect="sparkplug", readings=10, topics=10_000),
)


def run() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        server = broker(Path(folder))
        server.start()
        try:
            for load in LOADS:
                contestants: dict[str, Callable[[], Cost | float]] = {
                    "raw socket: the wall": partial(_timed, server, load, raw_socket),
                    "collector: decode, spool with fsync, acknowledge": partial(_timed, server, load, collector),
                }
                if load in LOADS[:2]:
                    few = replace(load, messages=load.messages // 4)  # these are slow
                    contestants["bare paho loop, empty callback"] = partial(_timed, server, few, bare_paho)
                    if find_spec("aiomqtt"):
                        contestants["aiomqtt, empty loop"] = partial(_timed, server, few, aiomqtt_loop)
                rows += [
                    {
                        "load": load.name,
                        "QoS": load.qos,
                        "topics": load.topics,
                        "payload bytes": load.payload_size,
                        **row,
                    }
                    for row in in_turn(contestants, "messages", rounds=3)
                ]
        finally:
            server.stop()
    return rows


def _timed(server: Broker, load: Load, reader: Callable[[int, Load, Callable[[], None]], Cost]) -> Cost:
    """The cost of delivering the load to a reader, which calls back once it has subscribed."""
    if load.qos:
        waiting_session(server.port, load)
    if load.backlog:
        publish(server.port, load)
        return reader(server.port, load, lambda: None)
    command = [sys.executable, "-m", "benchmarks.mqtt_load", str(server.port), json.dumps(asdict(load))]
    publisher = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert publisher.stdin is not None
    time.sleep(1 + load.messages / 50_000)  # it makes its packets ready, which must not be timed
    try:
        return reader(server.port, load, partial(_go, publisher.stdin))
    finally:
        publisher.stdin.close()
        publisher.wait()


def _go(stdin: IO[bytes]) -> None:
    stdin.write(b"\n")
    stdin.flush()
