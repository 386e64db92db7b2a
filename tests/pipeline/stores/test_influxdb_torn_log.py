"""When a server whose disk was full may be written to again: by its own word for when it was started."""

import time
from pathlib import Path

import pytest

from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb_server import InfluxServer
from pipeline.stores.influxdb_torn_log import NO_LOG, Start, TornLog, told
from telemetry.config import Secret
from telemetry.errors import StoreError
from tests.pipeline.stores.influx_answers import AnsweringServer, Answers
from tests.pipeline.stores.influxd import Influxd


class Server:
    """One whose starts a test decides. It tells none while `silent`."""

    def __init__(self) -> None:
        self.words = "2026-11-22T13:00:00Z"
        self.silent = False

    def started(self) -> Start:
        if self.silent:
            raise StoreError("timed out")
        return told(1, 200, b'{"system": {"started": "%s"}}' % self.words.encode(), 0, 0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def log(server: Server) -> TornLog:
    made = TornLog(server.started)
    made.full("km0")
    return made


def test_nothing_is_sent_between_the_first_start_and_the_second(server: Server, log: TornLog) -> None:
    """Before the first it may be tried, for it is refused; after the second all is well. Other buckets go on."""
    log.spare("km0")
    server.words = "first"
    for _ in range(3):
        with pytest.raises(StoreError, match="start it once more"):
            log.spare("km0")
    log.spare("another")
    server.words = "second"
    log.spare("km0")
    server.words = "third"
    log.spare("km0")


def test_an_answer_that_does_not_come_is_no_start(server: Server, log: TornLog) -> None:
    """Slow answers were taken for two starts, and what was sent then lay behind the torn end."""
    server.words = "first"
    with pytest.raises(StoreError, match="once more"):
        log.spare("km0")
    server.silent = True
    for _ in range(3):
        with pytest.raises(StoreError, match="timed out"):
            log.spare("km0")
    server.silent = False
    with pytest.raises(StoreError, match="once more"):
        log.spare("km0")


def test_what_was_taken_after_a_start_that_nobody_saw_is_sent_again(server: Server, log: TornLog) -> None:
    """It was started anew between the question and the write: that write is not called stored."""
    log.spare("km0")
    server.words = "first"
    with pytest.raises(StoreError, match="once more"):
        log.stored("km0")
    server.words = "second"
    log.spare("km0")
    log.stored("km0")


def test_a_disk_that_only_this_write_had_no_room_on_is_forgotten(server: Server, log: TornLog) -> None:
    """Stored without a start: what is started later was not torn."""
    log.stored("km0")
    server.words = "first"
    log.spare("km0")


def test_a_server_that_did_not_tell_at_once_is_started_once_more_than_it_must(server: Server) -> None:
    """Its first word may be that of a start after the full disk: in doubt nothing is sent."""
    log = TornLog(server.started)
    server.silent = True
    with pytest.raises(StoreError):
        log.full("km0")
    server.silent, server.words = False, "first"
    with pytest.raises(StoreError, match="anew, twice"):
        log.spare("km0")
    server.words = "second"
    with pytest.raises(StoreError, match="once more"):
        log.spare("km0")
    server.words = "third"
    log.spare("km0")


@pytest.mark.parametrize(("lived_s", "missed"), [(3600.0, False), (0.0, True)])
def test_a_server_that_tells_later_how_long_it_has_lived_was_not_started_since(lived_s: float, missed: bool) -> None:
    """2.x: its first word is enough where it shows that it has lived since before its disk was full."""
    silent = True

    def started() -> Start:
        if silent:
            raise StoreError("timed out")
        now_s = time.monotonic()
        return told(2, 200, uptime(str(lived_s)), now_s, now_s)

    log = TornLog(started)
    with pytest.raises(StoreError):
        log.full("km0")
    silent = False
    if missed:
        with pytest.raises(StoreError, match="anew, twice"):
            log.spare("km0")
    else:
        log.spare("km0")


def uptime(seconds: str) -> bytes:
    """As 2.9 says it."""
    return (
        "# HELP influxdb_uptime_seconds influxdb process uptime in seconds\n# TYPE influxdb_uptime_seconds gauge\n"
        f'influxdb_uptime_seconds{{id="11ace13ae381c000"}} {seconds}\nqc_all_active 0\n'
    ).encode()


@pytest.mark.parametrize(
    ("asked_s", "answered_s", "said", "another"),
    [
        (1000.0, 1000.1, "100.05", False),  # started at 900 to 900.05, as before
        (1000.0, 1030.0, "102", False),  # a late answer: it may have been said at 1002
        (1000.0, 1000.1, "1e+02", False),
        (911.0, 911.1, "10.9", True),  # not before 900.1: stopped as soon as it had answered
        (4510.0, 4510.1, "3608.2", False),  # 901.8 to 901.9: an hour later, clocks have run apart
        (1000.0, 1000.1, "98.5", True),
        (1000.0, 1000.1, "0.2", True),
        (5e6, 5e6, "4.9991e+06", False),  # two months later: started at 900
        (1000.0, 1000.1, "120", False),  # its clock runs faster, or ours stood still
    ],
)
def test_a_server_that_tells_how_long_it_has_lived_is_known_by_it(
    asked_s: float, answered_s: float, said: str, another: bool
) -> None:
    """2.x: another start is one that cannot be the same, whenever within the waiting the answer was made."""
    first = told(2, 200, uptime("10"), 910.0, 910.05)
    assert first.is_before(told(2, 200, uptime(said), asked_s, answered_s)) is another


def test_a_server_replaced_by_another_version_was_started() -> None:
    """1.x before and 2.x now, or 3.x: not the process whose disk was full."""
    old, new = told(1, 200, b'{"system":{"started":"x"}}', 0, 0), told(2, 200, uptime("10"), 910, 910)
    assert old.is_before(new)
    assert new.is_before(old)
    assert new.is_before(NO_LOG)
    assert not NO_LOG.is_before(NO_LOG)


@pytest.mark.parametrize("major", [1, 2])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"system":[]}', b"<html>", b"influxdb_uptime_seconds x\n", uptime("1") * 2]
)
def test_a_server_that_does_not_tell_gets_nothing_and_people_are_told_why(major: int, body: bytes) -> None:
    """A sentence with what to open, or what to start."""
    with pytest.raises(StoreError, match=r"GET /(debug/vars|metrics) answers 200.*start InfluxDB anew, twice"):
        told(major, 200, body, 0, 0)
    with pytest.raises(StoreError, match="answers 404"):
        told(major, 404, b"", 0, 0)


def test_a_real_1x_tells_its_start_and_another_after_it_was_started_anew(own_influxd: Influxd) -> None:
    """Stopped or killed; also where it asks for a password."""
    server = InfluxServer(InfluxDbConfig(url=own_influxd.url))
    for end in (own_influxd.stop, own_influxd.kill):
        before = server._started()
        assert not before.is_before(server._started())
        end()
        with pytest.raises(StoreError, match="cannot be reached"):
            server._started()
        own_influxd.settings["HTTP_AUTH_ENABLED"] = "true"
        own_influxd.start()
        assert before.is_before(server._started())


def test_a_2x_is_asked_at_metrics_and_a_3x_not_at_all(tmp_path: Path) -> None:
    """What was full is sent nothing after one start, by the number that 2.x gives, and is after two."""
    (tmp_path / "token").write_text("secret")
    full = (500, {}, b'{"message":"write /wal/1.wal: no space left on device"}')
    answers, line = Answers("2.9.1", scripted=[full]), b"machine,asset=a power=1 1\n"

    def started(seconds_ago: float) -> None:
        at = time.monotonic() - seconds_ago
        answers.metrics = lambda: uptime(f"{time.monotonic() - at:.9f}")

    with AnsweringServer(answers) as listening:
        server = InfluxServer(InfluxDbConfig(url=listening.url, token=Secret(file=tmp_path / "token")))
        started(1000)
        with pytest.raises(StoreError, match="disk is full"):
            server.write("km0", line)
        started(3)
        for _ in range(2):
            with pytest.raises(StoreError, match="once more"):
                server.write("km0", line)
        answers.metrics = None
        with pytest.raises(StoreError, match="/metrics answers 404"):
            server.write("km0", line)
        assert answers.writes == 1
        started(0)
        server.write("km0", line)
    answers = Answers("3.10.0", scripted=[full])
    with AnsweringServer(answers) as listening:
        server = InfluxServer(InfluxDbConfig(url=listening.url, token=Secret(file=tmp_path / "token")))
        with pytest.raises(StoreError, match="disk is full"):
            server.write("km0", line)
        server.write("km0", line)
        assert answers.writes == 2
