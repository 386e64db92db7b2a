"""A real irtt over the simulated link: what its file says by our reading, against what the link did."""

import json
import socket
import subprocess
import time
from pathlib import Path

from pipeline.recordings import read
from pipeline.recordings.report import report
from simulators.radio_path import Direction, LinkConfig
from simulators.udp_link import UdpLink
from tests.support import free_port, require_program

LOSSY = LinkConfig(
    up=Direction(base_ms=2, slot_ms=0, harq=0, tail=0, loss_starts=0.05, loss_ends=0.6),
    down=Direction(base_ms=3, slot_ms=0, harq=0, tail=0, loss_starts=0.02, loss_ends=0.6),
    handover_s=0,
)


def test_irtt_over_a_lossy_link(tmp_path: Path) -> None:
    """Of irtt's packets exactly those are lost, each way, that the link dropped, and no delay is below the link's."""
    irtt = require_program("irtt")
    port = free_port(socket.SOCK_DGRAM)
    server = subprocess.Popen([irtt, "server", "-b", f"127.0.0.1:{port}", "-i", "0"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)  # irtt's server says nothing that can be waited for over UDP
        with UdpLink(LOSSY, 23, ("127.0.0.1", port)) as link:
            file = tmp_path / "irtt.json"
            command = [irtt, "client", "-i", "5ms", "-d", "2s", "-Q", "-o", str(file), f"127.0.0.1:{link.port}"]
            subprocess.run(command, check=True, timeout=30)
            truth = link.truth()
    finally:
        server.terminate()
        server.wait(5)
    (found,) = (report(recording) for recording in read(file))
    # Byte 3 of irtt's packets holds flags; those that open (1) and close (4) a connection are no measurements.
    packets = [passage for passage in truth.passages if not passage.head[3] & 5]
    up = [passage for passage in packets if passage.way == "up"]
    down = [passage for passage in packets if passage.way == "down"]
    lost_up, lost_down = (sum(not passage.left_ns for passage in way) for way in (up, down))
    assert lost_up > 5
    assert found["sent"] == len(up)
    assert found["received"] == len(up) - lost_up - lost_down
    assert found["rtt_ms"]["min"] >= 5.0
    assert found["rtt_ms"]["p50"] < 15
    known = json.loads(file.read_text())["stats"]["server_packets_received"]
    if known == len(down):  # irtt's server tells in its answers how many it had; the last ones may be lost
        assert round(found["loss_up_ratio"] * len(up)) == lost_up
        assert round(found["loss_down_ratio"] * len(down)) == lost_down
