"""Recorded machines: the traps of real SHDR files, and the figures that must come out of a real one."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.broker import broker
from simulators.mqtt_plant import MqttPublisher
from simulators.mtconnect import read_recordings, samples
from simulators.payloads import Message
from simulators.recorded import Replayed
from simulators.recordings import Recording, messages, read, replay, shift_ns
from simulators.shdr import Observation, observations, recordings
from telemetry.errors import ConfigError
from tests.simulators.mqtt_peer import Subscriber
from tests.support import require_program, shared_data

ASSET = "km0/replay/okuma/multus-u3000"
T0 = 1_659_966_694_000_000_000  # 2022-08-08T13:51:34Z


def observed(*lines: str) -> list[Observation]:
    return list(observations(lines))


def test_a_line_is_a_time_and_pairs() -> None:
    """Seven digits of a second are kept, a device prefix is not part of the key, empty values are values."""
    assert observed("2022-08-08T13:51:34.7167146Z|avail|AVAILABLE|mill:pexecution|READY|block|") == [
        (T0 + 716_714_600, "avail", "AVAILABLE"),
        (T0 + 716_714_600, "pexecution", "READY"),
        (T0 + 716_714_600, "block", ""),
    ]


def test_a_day_that_no_calendar_has_is_no_time() -> None:
    """Of an adapter whose clock says the 45th of the 13th month only the other lines are read."""
    assert observed("2022-13-45T13:51:34Z|avail|AVAILABLE", "2022-08-08T13:51:34Z|avail|AVAILABLE") == [
        (T0, "avail", "AVAILABLE")
    ]


def test_what_is_no_observation_is_passed_over() -> None:
    """Assets with their own older times, multi-line blocks, commands, junk and torn lines do not become readings."""
    assert observed(
        "* adapterVersion: 1",
        "",
        "torn li",
        "2022-08-08T13:51:34Z",
        "2022-08-08T13:51:34Z|@REMOVE_ALL_ASSETS@|CuttingTool",
        "2022-08-08T10:33:04Z|@ASSET@|123456.20|CuttingTool|--multiline--ABCD",
        "2022-08-08T13:51:34Z|pexecution|ACTIVE",
        "--multiline--ABCD",
        "2022-08-08T13:51:35Z|pexecution|READY",
    ) == [(T0 + 10**9, "pexecution", "READY")]


def test_a_stream_is_cut_where_time_jumps() -> None:
    """Back by minutes or on by more than a quarter of an hour begins a recording; a small step back does not."""
    times = [1000, 1001, 1000.8, 1002, 500, 501, 5000]
    parts = recordings([Observation(round(t * 1e9), "k", str(t)) for t in times])
    assert [[float(o.value) for o in part] for part in parts] == [[500, 501], [1000, 1000.8, 1001, 1002], [5000]]


def test_a_recording_ends_in_the_unknown() -> None:
    """A metric that holds gets a bad sample at the end, a gauge does not; words are mapped, repetitions dropped."""
    part = observed(
        "2022-08-08T13:51:34.7167146Z|pexecution|READY|ppartcount|2|pFovr|100",
        "2022-08-08T13:51:35Z|pexecution|READY|unheard|1",
        "2022-08-08T13:51:36Z|pexecution|ACTIVE",
    )
    assert samples([part]) == [
        Replayed(T0 + 716_714_000, "state", 2),
        Replayed(T0 + 716_714_000, "parts", 2),
        Replayed(T0 + 716_714_000, "feed_override", 100),
        Replayed(T0 + 2 * 10**9, "state", 3),
        Replayed(T0 + 2_001_000_000, "state", 3, good=False),
        Replayed(T0 + 2_001_000_000, "parts", 2, good=False),
    ]


def test_unavailable_is_unknown() -> None:
    """UNAVAILABLE and words nobody knows are no values; an adapter without its machine is a machine not available."""
    part = observed(
        "2022-08-08T13:51:34Z|partcount|UNAVAILABLE|execution|DANCING|program|UNAVAILABLE",
        "2022-08-08T13:51:35Z|avail|UNAVAILABLE",
    )
    told = samples([part])[:4]
    assert [(s.metric, s.good) for s in told] == [
        ("parts", False),
        ("state", False),
        ("program", False),
        ("state", True),
    ]
    assert told[3].value == 0


def test_a_number_that_is_none_is_unknown() -> None:
    """Not finite, or half a part: nobody can use these, on any wire."""
    part = observed("2022-08-08T13:51:34Z|partcount|4.5|S1load|nan|Fovr|1e999")
    assert [(s.metric, s.value, s.good) for s in samples([part])][:3] == [
        ("parts", 0, False),
        ("spindle_load", 0, False),
        ("feed_override", 0, False),
    ]


def test_moved_to_now_the_whole_ends_or_begins_then() -> None:
    """It is moved by one amount, in whole microseconds as every consumer of JSON times keeps."""
    part = observed("2022-08-08T13:51:34Z|execution|READY", "2022-08-08T13:51:36Z|execution|ACTIVE")
    recording = Recording(values={ASSET: samples([part])})
    assert recording.span_ns == (T0, T0 + 2_001_000_000)
    assert shift_ns(recording, T0 + 9_000_000_999, begins=True) == 9_000_000_000
    assert shift_ns(recording, T0 + 9_000_000_999, begins=False) == 6_999_000_000


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    """A missing file and a file of something else each give a sentence."""
    with pytest.raises(ConfigError, match="recording is expected"):
        read(tmp_path / "none.txt", ASSET)
    (tmp_path / "other.txt").write_text("hello|\n")
    with pytest.raises(ConfigError, match="no MTConnect SHDR"):
        read(tmp_path / "other.txt", ASSET)


def okuma() -> list[list[Observation]]:
    with shared_data("okuma_mtconnect/okuma.txt").open(encoding="utf-8", errors="replace") as lines:
        return read_recordings(lines, "okuma.txt")


def integrate(told: list[Replayed]) -> tuple[int, int]:
    """Parts, and executing time [ns], by the smallest arithmetic: a bad sample ends what was known."""
    states = sorted((s.time_ns, s.value if s.good else None) for s in told if s.metric == "state")
    executing = sum(b[0] - a[0] for a, b in pairwise(states) if a[1] == 3)
    counts = sorted((s.time_ns, s.value if s.good else None) for s in told if s.metric == "parts")
    parts = sum(int(b[1]) - int(a[1]) for a, b in pairwise(counts) if a[1] is not None and b[1] is not None)
    return parts, executing


def test_the_okuma_made_four_parts() -> None:
    """Four recordings joined out of order: 4 parts and 1357.376086 s of execution, with times cut to microseconds."""
    told = samples(okuma())
    assert integrate(told) == (4, 1_357_376_086_000)
    assert [s.time_ns for s in told] == sorted(s.time_ns for s in told)
    assert sum(not s.good and s.metric == "state" for s in told) == 4


def test_the_okuma_in_its_own_resolution() -> None:
    """In the adapter's tenths of microseconds execution lasts 1357.3760842 s: 186.7296259 + 604.9626786 +
    548.9318815 + 16.7518982, taken from the lines of the file by hand."""
    parts = okuma()
    assert len(parts) == 4
    active = 0
    for part in parts:
        turns = [(o.time_ns, o.value) for o in part if o.key == "pexecution"]
        active += sum(b[0] - a[0] for a, b in pairwise(turns) if a[1] == "ACTIVE")
    assert active == 1_357_376_084_200


async def test_a_replay_arrives_whole_over_a_real_broker(tmp_path: Path) -> None:
    """Played over mosquitto, an independent subscriber has every sample once, bad ones marked so."""
    require_program("mosquitto")
    path = tmp_path / "recording.txt"
    lines = [
        f"2022-08-08T13:{m:02}:{s:02}.5Z|ppartcount|{m * 60 + s}|S1load|{s / 4}" for m in range(20) for s in range(60)
    ]
    path.write_text("\n".join(lines))
    server = broker(tmp_path / "broker", kind="mosquitto")
    server.start()
    accepted: list[Message] = []
    with Subscriber(server.port) as witness:
        publisher = MqttPublisher("127.0.0.1", server.port, accepted.append)
        await publisher.start()
        count = await replay(path, ASSET, publisher.publish)
        await publisher.settled()
        await publisher.stop()
        wanted = {(m.asset, metric, time_ns) for m in accepted for time_ns, metric, _ in m.events}
        witness.wait_for(wanted)
        assert witness.identities() == wanted
    server.stop()
    assert count == len(wanted) == 2 * 1200 + 1
    values = [v for topic, payload in witness.messages if topic == f"{ASSET}/parts" for v in payload]
    assert [v["quality"] for v in values if "quality" in v] == ["bad"]
    assert values[-1] == {"value": 1199, "time": "2022-08-08T13:19:59.501Z", "quality": "bad"}


def test_arrays_stay_below_what_small_brokers_take() -> None:
    """No message of a replay is longer than 20 kB."""
    told = [Replayed(T0 + n * 123_457_000, "spindle_load", n / 7) for n in range(5000)]
    found = messages(ASSET, told)
    assert sum(len(json.loads(m.payload)) for m in found) == 5000
    assert max(len(m.payload) for m in found) < 20_000
