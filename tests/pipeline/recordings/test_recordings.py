"""Recorded files of other tools: real ping logs against published answers, and small files worked by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.recordings import READERS, read
from pipeline.recordings.recording import unwrapped
from pipeline.recordings.report import report, use_cases
from telemetry.errors import DecodeError
from tests.support import shared_data

LOGS = (
    "ping-MEC-ORAN-upd.txt", "ping-MEC-ORAN.txt", "ping-cloud-ORAN-upd.txt", "ping-cloud-ORAN.txt",
    "ping_results_MEC_ORAN.txt", "ping-MEC-cmWave.txt", "ping-cloud-cmWave.txt", "ping-cloud-mmWave.txt",
)  # fmt: skip


def reported(folder: Path, text: str, name: str = "recorded") -> list[dict[str, Any]]:
    path = folder / name
    path.write_text(text)
    return [report(recording) for recording in read(path)]


@pytest.mark.parametrize("name", LOGS)
def test_real_ping_logs(name: str) -> None:
    """The packets of every recorded log give the counts that were published, and a mean as far below the printed one
    as cutting to three figures makes it."""
    folder = shared_data("ping_5g_edge")
    published = json.loads((folder / "answers.json").read_text())["published"][name]
    (found,) = (report(recording) for recording in read(folder / name))
    if published.get("truncated"):
        assert found["sent"] == published["max_seq"]
        assert found["received"] == published["complete_lines"]
        assert found["lost_sequence"] == published["missing_seq"]
        assert any("no summary" in note for note in found["cannot_tell"])
        assert found["rtt_ms"]["mean"] == pytest.approx(published["recomputed"]["avg"], abs=0.0006)
        return
    assert (found["sent"], found["received"], found["lost"]) == (published["tx"], published["rx"], published["lost"])
    assert found["rtt_ms"]["mean"] == pytest.approx(published["recomputed_avg"], abs=0.0006)
    assert found["lost_sequence"] == published.get("lost_seq", [])
    assert not any("mean" in line for line in found["disagreements"])
    assert found["loss_up_ratio"] is None
    assert found["loss_down_ratio"] is None


def test_four_lost_of_878() -> None:
    """Where ping prints 0 % loss, 4 of 878 packets were lost in one run of four; the report says so."""
    (found,) = (report(recording) for recording in read(shared_data("ping_5g_edge") / "ping-MEC-ORAN.txt"))
    assert found["loss_ratio"] == 4 / 878
    assert (found["loss_runs"], found["longest_loss_run"]) == (1, 4)
    assert found["disagreements"] == ["ping prints 0 % loss; 4 of 878 were lost, 0.4556 %"]


def test_overtaken_answers_of_ping() -> None:
    """The log in which two answers came before earlier ones has two arrivals out of order."""
    (found,) = (report(recording) for recording in read(shared_data("ping_5g_edge") / "ping-cloud-ORAN.txt"))
    assert found["reordered"] == 2


PING = """PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
[1700000000.010000] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=10.0 ms
[1700000001.012000] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=12.0 ms
[1700000001.013000] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=13.0 ms (DUP!)
no answer yet for icmp_seq=3
From 10.0.0.254 icmp_seq=3 Destination Host Unreachable
[1700000003.016000] 64 bytes from 10.0.0.1: icmp_seq=4 ttl=64 time=16.0 ms

--- 10.0.0.1 ping statistics ---
6 packets transmitted, 3 received, +1 duplicates, +1 errors, 50% packet loss, time 5000ms
rtt min/avg/max/mdev = 10.003/12.673/16.004/2.496 ms
"""


def test_ping_with_times_duplicates_and_a_lost_end(tmp_path: Path) -> None:
    """Duplicates are counted apart; packets lost at the very end are known from the summary, and the report says so."""
    (found,) = reported(tmp_path, PING)
    assert (found["sent"], found["received"], found["duplicates"]) == (6, 3, 1)
    assert found["lost_sequence"] == [3, 5, 6]
    assert found["loss_ratio"] == 0.5
    assert any("last 2 packets" in note for note in found["cannot_tell"])
    # |12 − 10| = 2 and |16 − 12| = 4: J = 2/16, then 0.125 + (4 − 0.125)/16
    assert found["jitter_rfc3550_ms"] == pytest.approx(0.125 + 3.875 / 16)
    assert found["disagreements"] == []


def test_nothing_answered(tmp_path: Path) -> None:
    """A run that lost everything has a loss of 1 and no delays."""
    summary = "5 packets transmitted, 0 received, 100% packet loss, time 4000ms"
    (found,) = reported(tmp_path, f"PING h (10.0.0.9) 56(84) bytes of data.\n\n--- h ping statistics ---\n{summary}\n")
    assert (found["loss_ratio"], found["rtt_ms"], found["jitter_rfc3550_ms"]) == (1.0, None, None)


def test_busybox_and_bsd_count_from_zero(tmp_path: Path) -> None:
    """BusyBox writes seq= from 0; BSD icmp_seq from 0 with a round-trip summary, even when its first packet is lost."""
    head = "PING h (1.2.3.4): 56 data bytes\n64 bytes from 1.2.3.4: "
    busybox = f"{head}seq=0 ttl=64 time=1.5 ms\n64 bytes from 1.2.3.4: seq=2 ttl=64 time=1.7 ms\n"
    bsd = (
        f"{head}icmp_seq=1 ttl=64 time=1.5 ms\n\n2 packets transmitted, 1 packets received, 50.0% packet loss\n"
        "round-trip min/avg/max/stddev = 1.500/1.500/1.500/0.000 ms\n"
    )
    assert [(each["sent"], each["lost_sequence"]) for each in reported(tmp_path, busybox)] == [(3, [1])]
    assert [(each["sent"], each["lost_sequence"]) for each in reported(tmp_path, bsd)] == [(2, [0])]


def test_two_runs_in_a_file(tmp_path: Path) -> None:
    """Two runs in one file are refused, not mixed."""
    with pytest.raises(DecodeError, match="more than one run"):
        reported(tmp_path, PING + PING)


def test_wrapped_numbers() -> None:
    """After 65,535 comes 0; a straggler from before the wrap is still counted before it."""
    assert unwrapped([65534, 65535, 0, 65533, 1], 65536) == [65534, 65535, 65536, 65533, 65537]


IRTT: dict[str, Any] = {
    "version": {"irtt": "0.9.0"},
    "stats": {"packets_sent": 5, "packets_received": 3, "packet_loss_percent": 40, "duplicates": 1,
              "rtt": {"n": 3, "min": 10e6, "mean": 11e6, "max": 12e6}},
    "round_trips": [
        {"seqno": 0, "lost": "false", "delay": {"rtt": 10_000_000, "send": 6_000_000, "receive": 4_000_000},
         "timestamps": {"client": {"send": {"wall": 10**18}, "receive": {"monotonic": 10}}}},
        {"seqno": 1, "lost": "true_up", "timestamps": {"client": {"send": {"wall": 10**18 + 10**7}}}},
        {"seqno": 2, "lost": "false", "delay": {"rtt": 11_000_000, "send": 6_500_000, "receive": 4_500_000},
         "timestamps": {"client": {"send": {"wall": 10**18 + 2 * 10**7}, "receive": {"monotonic": 31}}}},
        {"seqno": 3, "lost": "true_down", "timestamps": {"client": {"send": {"wall": 10**18 + 3 * 10**7}}}},
        {"seqno": 4, "lost": "false", "delay": {"rtt": 12_000_000, "send": 7_000_000, "receive": 5_000_000},
         "timestamps": {"client": {"send": {"wall": 10**18 + 4 * 10**7}, "receive": {"monotonic": 30}}}},
    ],
}  # fmt: skip


def test_irtt(tmp_path: Path) -> None:
    """Loss by direction is lost up ÷ sent, and lost down ÷ what reached the server; order is that of reception."""
    (found,) = reported(tmp_path, json.dumps(IRTT))
    assert (found["sent"], found["received"], found["duplicates"]) == (5, 3, 1)
    assert (found["loss_ratio"], found["loss_up_ratio"], found["loss_down_ratio"]) == (0.4, 0.2, 0.25)
    assert found["rtt_ms"]["mean"] == 11.0
    assert found["delay_up_ms"]["max"] == 7.0
    assert found["delay_down_ms"]["min"] == 4.0
    assert found["reordered"] == 1
    assert found["disagreements"] == []


def test_irtt_summary_is_not_believed(tmp_path: Path) -> None:
    """Where irtt's summary contradicts its packets, the packets count and the report names both."""
    file = IRTT | {"stats": IRTT["stats"] | {"packets_received": 5, "packet_loss_percent": 0}}
    (found,) = reported(tmp_path, json.dumps(file))
    assert found["received"] == 3
    assert found["disagreements"] == [
        "irtt says 5 packets were received, 3 are recorded",
        "irtt prints 0 % loss; 2 of 5 were lost, 40 %",
    ]


def test_clocks_that_disagree(tmp_path: Path) -> None:
    """A packet that arrived before it was sent shows that the clocks disagree: no one-way delays, round trips stand."""
    trips = json.loads(json.dumps(IRTT["round_trips"]))
    trips[0]["delay"] |= {"send": -3_000_000, "receive": 13_000_000}
    (found,) = reported(tmp_path, json.dumps(IRTT | {"round_trips": trips}))
    assert found["delay_up_ms"] is None
    assert found["delay_down_ms"] is None
    assert found["rtt_ms"]["min"] == 10.0
    assert any("clocks disagree" in note for note in found["cannot_tell"])


OWPING = """seq_no=0          delay=1.5 ms	(sync, err=0.2 ms)
seq_no=1          *LOST*
seq_no=2          delay=2.5 ms	(sync, err=0.3 ms)
seq_no=2          delay=2.6 ms	(sync, err=0.3 ms)
seq_no=3          delay=2e+03 us	(sync, err=300 us)

--- owping statistics from [a]:8774 to [b]:9071 ---
SID:	c0a80013e15246c899a38ae786748b8e
4 sent, 1 lost (25.000%), 1 duplicates
one-way delay min/median/max = 1.5/2/2.5 ms, (err=0.3 ms)
seq_no=0          delay=4 ms	(unsync)
seq_no=1          delay=5 ms	(unsync)

--- owping statistics from [b]:9893 to [a]:8923 ---
2 sent, 0 lost (0.000%), 0 duplicates
"""


def test_owping(tmp_path: Path) -> None:
    """The first session is up, the second down; delays without synchronised clocks are left out, losses are not."""
    up, down = reported(tmp_path, OWPING)
    assert (up["sent"], up["lost"], up["duplicates"], up["loss_up_ratio"], up["loss_down_ratio"]) == (
        4,
        1,
        1,
        0.25,
        None,
    )
    assert up["delay_up_ms"]["mean"] == pytest.approx(2.0)
    assert up["clock_error_ms"] == pytest.approx(0.3)
    assert up["rtt_ms"] is None
    assert down["name"] == "[b]:9893 to [a]:8923"
    assert (down["loss_up_ratio"], down["loss_down_ratio"], down["delay_down_ms"]) == (None, 0.0, None)
    assert down["pdv_ms"]["max"] == 1.0


def test_owping_raw(tmp_path: Path) -> None:
    """`owping -R`: NTP times with their errors; half a unit of 2⁻³² s is 0.5 s; a received time of 0 is a loss."""
    start, half = 0xE9D2A3B4 << 32, 1 << 31
    text = f"0 {start:020d} 1 1e-05 {start + half:020d} 1 2e-05 64\n1 {start + half:020d} 1 1e-05 {0:020d} 0 0 255\n"
    (found,) = reported(tmp_path, text)
    assert found["delay_up_ms"]["max"] == 500.0
    assert found["clock_error_ms"] == pytest.approx(0.03)
    assert found["loss_up_ratio"] == 0.5


def test_owping_without_packets(tmp_path: Path) -> None:
    """A summary alone is refused with how to record the packets."""
    with pytest.raises(DecodeError, match="owping -v"):
        reported(tmp_path, OWPING.split("\n\n")[1].split("seq_no")[0])


def test_table_of_round_trips(tmp_path: Path) -> None:
    """Send and receive times in milliseconds since 1970, an empty cell is a loss, a number without a line as well."""
    base = 1_700_000_000_000
    rows = [(7, base, base + 8), (8, base + 10, ""), (10, base + 30, base + 42), (9, base + 20, base + 45)]
    text = "seq,sent,received\n" + "".join(f"{n},{s},{r}\n" for n, s, r in rows) + f"12,{base + 50},{base + 60.5}\n"
    (found,) = reported(tmp_path, text)
    assert (found["sent"], found["lost"], found["reordered"], found["duplicates"]) == (6, 2, 1, 0)
    assert found["rtt_ms"]["max"] == 25.0
    assert found["rtt_ms"]["mean"] == pytest.approx((8 + 12 + 25 + 10.5) / 4)


def test_table_of_four_times(tmp_path: Path) -> None:
    """With T1…T4, RTT is without the other end's time and a loss has its direction; `;` and decimal commas go."""
    text = "t1_ms;t2_ms;t3_ms;t4_ms\n0;3,5;5,5;9\n10;;;\n20;24;25;\n30;33;34;38\n"
    (found,) = reported(tmp_path, text)
    assert (found["loss_up_ratio"], found["loss_down_ratio"]) == (0.25, pytest.approx(1 / 3))
    assert found["rtt_ms"]["max"] == 7.0
    assert found["delay_up_ms"]["max"] == 4.0  # of the packet whose answer was lost on the way back
    assert found["delay_down_ms"]["min"] == 3.5


def test_table_of_nanoseconds_is_exact(tmp_path: Path) -> None:
    """Nanoseconds since 1970 do not pass through a float: 250 ns of delay are 250 ns."""
    text = "sent_ns,received_ns\n1763780000123456789,1763780000123457039\n"
    (found,) = reported(tmp_path, text)
    assert found["rtt_ms"]["max"] == pytest.approx(0.00025, abs=1e-12)


def test_table_of_iso_times(tmp_path: Path) -> None:
    """ISO 8601 times with a zone are read."""
    text = "sent,received\n2026-11-22T04:00:00.000100+00:00,2026-11-22T05:00:00.012100+01:00\n"
    (found,) = reported(tmp_path, text)
    assert found["rtt_ms"]["max"] == pytest.approx(12.0)


def test_a_time_without_a_unit(tmp_path: Path) -> None:
    """A small number without a unit is refused with what to write."""
    with pytest.raises(DecodeError, match="line 2, column 'sent': the unit cannot be told"):
        reported(tmp_path, "sent,received\n12,15\n")
    with pytest.raises(DecodeError, match="line 3, column 'received_ms': 'x' is not a number"):
        reported(tmp_path, "sent_ms,received_ms\n1,2\n3,x\n")


@pytest.mark.parametrize(
    "text", ["", "hello", "{}", '{"round_trips": 5}', '{"round_trips": [{"seqno": -1}]}', "PING x\n", "a,b\n1,2\n"]
)
def test_what_is_none_of_these(tmp_path: Path, text: str) -> None:
    """Anything else is refused with a sentence that names the file."""
    with pytest.raises(DecodeError, match="recorded: "):
        reported(tmp_path, text)


def test_a_damaged_number(tmp_path: Path) -> None:
    """A sequence number of two thousand million does not reserve memory for as many packets."""
    with pytest.raises(DecodeError, match="damaged"):
        reported(tmp_path, json.dumps({"round_trips": [{"seqno": 2_000_000_000}]}))


TABLE = "seq;sent_ms;received_ms\n" + "".join(f"{n};{n * 10},5;{n * 10 + 5}\n" for n in range(6))
RAW = "0 16849006360969740288 1 1e-05 16849006362969740288 1 2e-05 64\n"
WRONG = ("9" * 30, "e999", "-", "nan", "inf", "1.2.3", "\0", "5" * 400, "")


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good file with a few places overwritten, cut or doubled."""
    text = draw(st.sampled_from([PING, OWPING, json.dumps(IRTT), TABLE, RAW]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 20))
        text = (
            text[:start] + draw(st.sampled_from(WRONG) | st.text('0123456789.eE-+,;: []{}"\n', max_size=3)) + text[end:]
        )
    return text


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=400) | damaged())
def test_damaged_files(text: str) -> None:
    """Whatever is in a file, it is read or refused; a report is made of what was read."""
    for reader in READERS:
        if reader.recognises(text):
            try:
                recordings = reader.read(text)
            except DecodeError:
                continue
            for recording in recordings:
                found = report(recording)
                assert found["received"] + found["lost"] == found["sent"]
                json.dumps([found, use_cases(recording)], allow_nan=False)
                assert np.unique(recording.arrived).size == recording.arrived.size
