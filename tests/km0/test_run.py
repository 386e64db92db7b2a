"""`km0 run` as a process: how it ends."""

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SHOWN = """
[[plant.assets]]
path = "km0/mill"
name = "Mill"

[spool]
path = "{folder}/spool.sqlite"

[web]
port = 0
folder = "{folder}/web"

[store]
"""
PLANT = (
    SHOWN
    + """
kind = "influxdb"
url = "http://127.0.0.1:{port}"
org = "o"
bucket = "b"
token = {{ env = "KM0_TEST_TOKEN" }}
timeout_s = 600
"""
)


def test_a_store_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts a question and never answers: SIGTERM ends the process in order of seconds, not after ten minutes."""
    monkeypatch.setenv("KM0_TEST_TOKEN", "t")
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as store:
        callers: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    callers.append(store.accept()[0])
                except OSError:
                    return
                if callers[-1].recv(1):
                    asked.set()

        threading.Thread(target=accept, daemon=True).start()
        plant = tmp_path / "plant.toml"
        plant.write_text(PLANT.format(folder=tmp_path, port=store.getsockname()[1]))
        command = [sys.executable, "-m", "km0.cli", "run", str(plant)]
        platform = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert platform.stderr is not None
            assert "is shown at" in platform.stderr.readline()
            assert asked.wait(30)
            platform.send_signal(signal.SIGTERM)
            _, said = platform.communicate(timeout=60)
        finally:
            platform.kill()
            platform.wait()
            for caller in callers:
                caller.close()
    assert "not everything ended within 5 s: ended without it; what was acknowledged is on disk" in said
    assert "Traceback" not in said
    assert platform.returncode == 0


def test_who_runs_it_from_python_outlives_its_end(tmp_path: Path) -> None:
    """Nothing hangs: once the platform has ended, what would have ended the process by force is gone."""
    plant = tmp_path / "plant.toml"
    plant.write_text((SHOWN + 'kind = "duckdb"\npath = "{folder}/km0.duckdb"\n').format(folder=tmp_path))
    code = """
import sys, threading
from pathlib import Path
from km0 import run
run.LONGEST_END_S = 60.0  # a busy machine ends in its own time
run.run(Path(sys.argv[1]))
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()
print("outlived it")
"""
    caller = subprocess.Popen(
        [sys.executable, "-c", code, str(plant)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert caller.stderr is not None
    assert any("is shown at" in line for line in caller.stderr)
    caller.send_signal(signal.SIGTERM)
    told, said = caller.communicate(timeout=120)
    assert told == "outlived it\n", said
