"""Foreign judges of what a Sparkplug edge node says: mosquitto_sub hears it, Eclipse Tahu's decoder reads it."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.publish as publish

from tests.support import npm_installed, require_program

_PROBE = "ear/probe"
FOLDER = Path(__file__).parents[1] / "foreign" / "sparkplug"


@dataclass(frozen=True)
class Heard:
    """One message as it came from the broker."""

    topic: str
    qos: int
    retained: bool
    payload: str
    """Hexadecimal."""

    @property
    def kind(self) -> str:
        return self.topic.split("/")[2]


class Ear:
    """mosquitto_sub on a filter, from the start of the context to its end."""

    def __init__(self, port: int, topic: str = "spBv1.0/#") -> None:
        program = require_program("mosquitto_sub", "mosquitto-clients")
        self.heard: list[Heard] = []
        self._port = port
        self._ready = threading.Event()
        command = [program, "-p", str(port), "-q", "1", "-t", topic, "-t", _PROBE, "-F", "%t %q %r %x"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._ready.wait(0.05):  # nobody says when it has subscribed
            assert time.monotonic() < deadline, "mosquitto_sub does not listen"
            publish.single(_PROBE, b"", hostname="127.0.0.1", port=self._port)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            topic, qos, retained, *payload = line.split()
            if topic == _PROBE:
                self._ready.set()
                continue
            self.heard.append(Heard(topic, int(qos), retained == "1", "".join(payload)))

    def kinds(self) -> list[str]:
        return [one.kind for one in self.heard]

    def wait(self, reached: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.kinds()
            time.sleep(0.02)


def decoded(messages: list[Heard]) -> list[dict[str, Any]]:
    """What the messages say, read by npm's sparkplug-payload."""
    node = require_program("node", "nodejs")
    npm_installed(FOLDER)
    lines = "".join(f"{one.payload}\n" for one in messages)
    answer = subprocess.run(
        [node, "decode.js"], cwd=FOLDER, input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in answer.stdout.splitlines()]
