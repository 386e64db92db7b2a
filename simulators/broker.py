"""A real MQTT broker for the demonstrator and the tests, as a child process bound to 127.0.0.1.

mosquitto where it is on the PATH, else rumqttd from the `iotcore` wheel. Both speak MQTT 5, keep messages for clients
that are away, and end when this process ends, however it ends: a broker left over would hold the port and the files.
Only mosquitto keeps its messages over its own restart.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from simulators.ports import free_port
from telemetry.errors import ConfigError, SourceError

Kind = Literal["mosquitto", "iotcore"]

START_S: Final = 10.0
STOP_S: Final = 3.0
PAYLOAD_LIMIT: Final = 1 << 20
"""Largest message [bytes]; rumqttd takes 20 kB unless told."""

_POLL_S: Final = 0.02
_UNLIMITED: Final = 0


def broker(folder: Path, port: int | None = None, kind: Kind | None = None) -> "Broker":
    """The broker that this machine can run. `folder` holds its files; without `port` a free one is taken.

    Raises ConfigError when neither mosquitto nor iotcore is there.
    """
    if kind in (None, "mosquitto") and (program := _mosquitto()):
        return _Mosquitto(folder, port or free_port(), program)
    if kind in (None, "iotcore") and find_spec("iotcore"):
        return _Iotcore(folder, port or free_port())
    raise ConfigError(
        f"no MQTT broker to start ({kind or 'mosquitto or iotcore'}): apt-get install mosquitto, "
        "or pip install 'km0-telemetry[demo]'"
    )


class Broker(ABC):
    """One broker process. `start` may follow `stop` again: same port, same folder."""

    kind: Kind

    def __init__(self, folder: Path, port: int) -> None:
        self.folder: Final = folder
        self.port: Final = port
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration and return the command, which must end when its standard input ends."""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return once the port answers. Raises SourceError when it does not, with the broker's own last words."""
        if self.alive:
            return
        if _answers(self.port):
            raise SourceError(f"port {self.port} of 127.0.0.1 is in use: another broker? Stop it or take another port")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for us, and we stop the broker last.
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not _answers(self.port):
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise SourceError(f"{self.kind} did not start on 127.0.0.1:{self.port}: {self._last_words()}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End the broker; it saves what it holds first. Nothing happens when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    async def watch(self) -> None:
        """Return when `stop` was called; raise SourceError when the broker ended by itself."""
        while (process := self._process) is not None:
            if process.poll() is not None:
                raise SourceError(f"{self.kind} ended by itself (code {process.returncode}): {self._last_words()}")
            await asyncio.sleep(0.2)

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.kind}.log"

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1] if lines else f"it said nothing in {self._log}"


class _Mosquitto(Broker):
    kind = "mosquitto"

    # mosquitto does not notice that its parent is gone; this shell does, by its standard input, and ends it properly.
    _GUARD = (
        'exec 3<&0; "$0" -c "$1" </dev/null 3<&- & broker=$!; '
        '{ read -r _ <&3; kill "$broker"; } 2>/dev/null & guard=$!; '
        'exec 3<&-; wait "$broker"; code=$?; kill "$guard" 2>/dev/null; exit "$code"'
    )

    def __init__(self, folder: Path, port: int, program: str) -> None:
        super().__init__(folder, port)
        self._program = program

    def _command(self) -> list[str]:
        config = self.folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self.folder.resolve()}/",
            "autosave_interval 5",
            f"max_queued_messages {_UNLIMITED}",
            f"max_queued_bytes {_UNLIMITED}",
            "set_tcp_nodelay true",  # else an acknowledgement may wait 40 ms for company
            f"message_size_limit {PAYLOAD_LIMIT}",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it drops to its own user, who may not write in our folder
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return ["/bin/sh", "-c", self._GUARD, self._program, str(config)]


class _Iotcore(Broker):
    kind = "iotcore"

    _RUN = (
        "import sys, os, threading; "
        "threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start(); "
        "from iotcore import IotCoreBroker; IotCoreBroker(config_path=sys.argv[1]).run_forever()"
    )

    def _command(self) -> list[str]:
        config = self.folder / "iotcore.toml"
        # What a client is away for is read back from these segments; the oldest of 10 is dropped when all are full.
        config.write_text(
            f"""id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{self.port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {PAYLOAD_LIMIT}
max_inflight_count = 100
dynamic_filters = true
""",
            encoding="utf-8",
        )
        return [sys.executable, "-c", self._RUN, str(config)]


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/local/sbin:/usr/sbin:/sbin")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True
