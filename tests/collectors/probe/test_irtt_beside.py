"""irtt and our sender at the same time over links that do the same to the n-th packet of each: both tell what the link
did, and neither knows more than the other."""

import socket
import subprocess
import threading
from pathlib import Path

from collectors.probe.outcome import Outcome
from collectors.probe.reflector import ReflectorConfig, ReflectorServer
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.wire import Wire
from pipeline.recordings import read
from pipeline.recordings.report import report
from simulators.radio_path import Direction, LinkConfig
from simulators.udp_link import Truth, UdpLink
from tests.support import free_port, require_program

PACKETS = 400
LOSSY = LinkConfig(
    up=Direction(base_ms=2, slot_ms=0, harq=0, tail=0, loss_starts=0.05, loss_ends=0.6),
    down=Direction(base_ms=3, slot_ms=0, harq=0, tail=0, loss_starts=0.02, loss_ends=0.6),
    handover_s=0,
)


def dropped(truth: Truth, ours: bool) -> tuple[int, int]:
    """Test packets that the link dropped, up and down; irtt's that open and close a connection do not count."""
    packets = [one for one in truth.passages if ours or not one.head[3] & 5]
    up, down = (sum(not one.left_ns for one in packets if one.way == way) for way in ("up", "down"))
    return up, down


def test_both_recover_what_the_link_did(tmp_path: Path) -> None:
    """400 packets of each, 5 ms apart: of both, exactly those are lost that the link dropped, ours by direction too; no
    round trip of either is below the link's 5 ms; and to ours of each number the seed did the same as in any run."""
    irtt = require_program("irtt")
    port = free_port(socket.SOCK_DGRAM)
    reflector = ReflectorServer(ReflectorConfig(port=0))
    reflecting = threading.Thread(target=reflector.run)
    server = subprocess.Popen([irtt, "server", "-b", f"127.0.0.1:{port}", "-i", "0"], stdout=subprocess.DEVNULL)
    reflecting.start()
    outcomes: list[Outcome] = []
    session = Session(1_000_000_000, stateful=True)
    file = tmp_path / "irtt.json"
    try:
        with (
            UdpLink(LOSSY, 23, ("127.0.0.1", port)) as to_irtt,
            UdpLink(LOSSY, 23, ("127.0.0.1", reflector.address[1])) as to_us,
        ):
            # its client asks the server to open until it answers, so nothing has to be waited for
            theirs = subprocess.Popen(
                [irtt, "client", "-i", "5ms", "-d", "2s", "-Q", "-o", str(file), f"127.0.0.1:{to_irtt.port}"]
            )
            sender = Sender(
                session,
                Wire(("127.0.0.1", 0), transmit=True),
                ("127.0.0.1", to_us.port),
                5_000_000,
                take=outcomes.extend,
                stranger=lambda *_: None,
                unreachable=lambda _: None,
            )
            sender.run(PACKETS)
            sender.close()
            assert theirs.wait(60) == 0
            ours_dropped, theirs_dropped = dropped(to_us.truth(), ours=True), dropped(to_irtt.truth(), ours=False)
    finally:
        reflector.stop()
        reflecting.join(10)
        server.terminate()
        server.wait(10)
    told = {outcome.sequence: outcome for outcome in outcomes}
    ways = [outcome.lost_way for outcome in told.values() if outcome.rtt_ns is None]
    trips = [outcome.rtt_ns / 1e6 for outcome in told.values() if outcome.rtt_ns is not None]
    assert len(told) == PACKETS
    assert len(ways) == sum(ours_dropped) > 10
    assert ways.count("up") <= ours_dropped[0]
    assert ways.count("down") <= ours_dropped[1]
    assert ways.count("") <= 3  # before the first answer and behind the last, nobody knows
    assert min(trips) >= 5.0
    (found,) = (report(recording) for recording in read(file))
    assert found["lost"] == sum(theirs_dropped) > 10
    assert found["rtt_ms"]["min"] >= 5.0
