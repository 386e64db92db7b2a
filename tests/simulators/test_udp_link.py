"""The simulated link and its reflector, judged by plain sockets."""

import socket
import statistics
import time
from dataclasses import replace

import pytest

from simulators.echo_reflector import EchoReflector
from simulators.radio_path import STILL, Direction, Handovers, LinkConfig, RadioPath, histogram_rows
from simulators.udp_link import UdpLink
from tests.support import shared_data

PLAIN = STILL.up


def delays(config: LinkConfig, seed: int, packets: int, every_s: float = 0.01) -> list[float | None]:
    """Delay [ms] of each packet in the uplink, None for the lost."""
    path = RadioPath(config, "up", seed, Handovers(config, seed))
    fates = [(n * every_s, path.fate(n * every_s)) for n in range(packets)]
    return [(fate.leaves_s[0] - at) * 1000 if fate.leaves_s else None for at, fate in fates]


def test_same_seed_same_link() -> None:
    """The same seed gives the same fates, another seed others."""
    assert delays(LinkConfig(), 1, 500) == delays(LinkConfig(), 1, 500)
    assert delays(LinkConfig(), 1, 500) != delays(LinkConfig(), 2, 500)


def test_loss_does_not_depend_on_time() -> None:
    """Which packets are lost depends on their number, not on when they come."""
    fast, slow = delays(LinkConfig(handover_s=0), 5, 3000, 0.001), delays(LinkConfig(handover_s=0), 5, 3000, 0.02)
    assert [delay is None for delay in fast] == [delay is None for delay in slow]
    assert None in fast


def test_loss_bursts() -> None:
    """A Gilbert channel loses start/(start + end) of all packets, in bursts of 1/end: 0.0909 and 2 for 0.05 and 0.5."""
    config = replace(STILL, up=replace(PLAIN, loss_starts=0.05, loss_ends=0.5))
    lost = [delay is None for delay in delays(config, 11, 100_000)]
    starts = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert statistics.fmean(lost) == pytest.approx(0.0909, abs=0.004)
    assert sum(lost) / starts == pytest.approx(2.0, abs=0.08)


def test_scheduler_and_retransmissions() -> None:
    """With a base of 3 ms, slots of 2.5 ms and retransmissions of 5 ms, packets at slot borders take 5, 10, 15 … ms."""
    config = replace(STILL, up=replace(PLAIN, base_ms=3, slot_ms=2.5, harq=0.2, harq_ms=5))
    seen = [round(delay, 6) for delay in delays(config, 4, 5000, 0.1) if delay is not None]
    assert set(seen) == {5.0, 10.0, 15.0, 20.0, 25.0}
    assert seen.count(5.0) / len(seen) == pytest.approx(0.8, abs=0.02)


def test_order_is_kept_unless_drawn() -> None:
    """Without overtaking no packet leaves before its predecessor, however long that waits."""
    for overtaken, expected in ((0.0, False), (0.05, True)):
        config = replace(STILL, up=replace(PLAIN, tail=0.2, tail_ms=30, overtaken=overtaken, overtaken_ms=40))
        path = RadioPath(config, "up", 9, Handovers(config, 9))
        leaves = [path.fate(n * 0.005).leaves_s[0] for n in range(2000)]
        assert (leaves != sorted(leaves)) is expected


def test_handover_holds_or_drops() -> None:
    """In a handover gap packets are held to its end, or dropped; the gaps are the same in both directions."""
    config = replace(STILL, handover_s=5.0, handover_ms=200)
    gaps = Handovers(config, 3)
    start = next(n / 1000 for n in range(60_000) if gaps.end_of_gap(n / 1000) is not None)
    end = gaps.end_of_gap(start)
    assert end is not None
    assert 0.1 <= end - start <= 0.301
    assert RadioPath(config, "down", 3, Handovers(config, 3)).fate(start).leaves_s == (end,)
    drops = replace(config, handover_drops=True)
    assert RadioPath(drops, "up", 3, Handovers(drops, 3)).fate(start).cause == "handover"


@pytest.mark.parametrize(
    ("name", "mean_ms"),
    [
        ("5G-midband-Uplink_PD-Wireless-5G-2a.csv", 6.46985),
        ("5G-URLLC-mmW-Downlink_PD-Wireless-5G-3a.csv", 0.76206),
        ("5G-mmW-UL-histData.csv", 2.42194),
    ],
)
def test_measured_histogram(name: str, mean_ms: float) -> None:
    """A link that replays a measured histogram has its mean: the published lower-edge mean and half a bin width."""
    rows = histogram_rows((shared_data("hist_5g_industrial") / name).read_text().splitlines())
    config = replace(STILL, up=replace(PLAIN, histogram=rows, overtaken=1.0, overtaken_ms=0))
    drawn = [delay for delay in delays(config, 8, 50_000) if delay is not None]
    assert statistics.fmean(drawn) == pytest.approx(mean_ms + (rows[0][1] - rows[0][0]) / 2, rel=0.01)


def _send(packets: int, port: int, every_s: float = 0.001, size: int = 44) -> list[tuple[int, float]]:
    """Send numbered packets; (number, seconds until the answer) in order of arrival."""
    came: list[tuple[int, float]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.001)
        sent: dict[int, float] = {}
        quiet = time.monotonic() + packets * every_s + 0.3
        while time.monotonic() < quiet:
            if len(sent) < packets:
                sent[len(sent)] = time.monotonic()
                sender.sendto((len(sent) - 1).to_bytes(4, "big").ljust(size, b"\1"), ("127.0.0.1", port))
            try:
                answer = sender.recv(2000)
            except TimeoutError:
                continue
            number = int.from_bytes(answer[24:28], "big")
            came.append((number, time.monotonic() - sent[number]))
    return came


def test_the_relays_journal_is_true() -> None:
    """What the journal calls dropped does not arrive, what it calls forwarded arrives, as often as it says."""
    rough = LinkConfig(
        up=Direction(base_ms=1, slot_ms=1, loss_starts=0.05, duplicated=0.05),
        down=Direction(base_ms=1, slot_ms=0, loss_starts=0.05),
        handover_s=0,
    )
    with EchoReflector() as reflector, UdpLink(rough, 21, reflector.address) as link:
        arrived = [number for number, _ in _send(400, link.port)]
        truth = link.truth()
    expected = [
        int.from_bytes(passage.head[24:28], "big")
        for passage in truth.passages
        if passage.way == "down"
        for _ in passage.left_ns
    ]
    assert sorted(arrived) == sorted(expected)
    assert truth.came("up") == 400
    assert truth.dropped("up") > 5
    assert truth.came("down") == sum(len(passage.left_ns) for passage in truth.passages if passage.way == "up")
    assert truth.within(0, 1).came("up") == 0


def test_delay_is_kept() -> None:
    """A packet that is due 10 ms after it came leaves then: never earlier, and half of them soon after."""
    config = replace(STILL, up=replace(PLAIN, base_ms=10))
    with EchoReflector() as reflector, UdpLink(config, 1, reflector.address) as link:
        _send(100, link.port, 0.002)
        late = sorted(delay - 10 for delay in link.truth().delays_ms("up"))
    assert late[0] >= 0
    assert late[50] < 20


def test_outage() -> None:
    """A link that is not forwarding drops everything and says why."""
    with EchoReflector() as reflector, UdpLink(STILL, 1, reflector.address) as link:
        link.forwarding = False
        assert _send(5, link.port) == []
        assert {passage.cause for passage in link.truth().passages} == {"outage"}


def test_reflector_by_byte() -> None:
    """The reflector's answer has the layout of RFC 8762: numbers, T1 and SSID copied, T2 ≤ T3, size kept."""
    request = bytes.fromhex("00000009e9d2a3b4800000008001beef").ljust(60, b"\0")
    with (
        EchoReflector(clock_offset_ns=5_000_000_000, stateful=True) as reflector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        sender.settimeout(2)
        sender.sendto(request, reflector.address)
        answer = sender.recv(100)
        ahead = int.from_bytes(answer[16:20], "big") - 2_208_988_800 - time.time()
    assert len(answer) == 60
    assert answer[0:4] == bytes(4)
    assert answer[14:16].hex() == "beef"
    assert answer[24:38] == request[0:14]
    assert answer[16:24] <= answer[4:12]
    assert ahead == pytest.approx(5, abs=1.5)
