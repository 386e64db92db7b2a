"""Source times as publishers write them."""

from contextlib import suppress
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.mqtt.decoder import MessageError
from collectors.mqtt.times import TimeUnit, instant_ns

# 2026-11-22T03:49:57Z is 1795319397 s after the epoch: date -u -d 2026-11-22T03:49:57Z +%s
SECOND = 1_795_319_397
NS = SECOND * 1_000_000_000
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T03:49:57Z", NS),
        ("2026-11-22T03:49:57.123Z", NS + 123_000_000),
        ("2026-11-22T03:49:57.1234567Z", NS + 123_456_700),  # .NET writes 100 ns
        ("2026-11-22T03:49:57.123456789Z", NS + 123_456_789),
        ("2026-11-22T03:49:57.1234567899Z", NS + 123_456_789),  # beyond a nanosecond nothing is kept
        ("2026-11-22T03:49:57,5+00:00", NS + 500_000_000),
        ("2026-11-22T04:49:57+01:00", NS),
        ("2026-11-22T04:49:57+0100", NS),
        ("2026-11-22T04:49:57+01", NS),
        ("2026-11-21T22:19:57-05:30", NS),
        ("2026-11-22 03:49:57 Z", NS),
        ("2026-11-22t03:49:57z", NS),
        ("2026-11-22T03:49Z", NS - 57 * 1_000_000_000),
    ],
)
def test_iso_8601_is_read_to_the_nanosecond(text: str, expected: int) -> None:
    """ISO 8601 with a fraction of any length and any way to write the offset."""
    assert instant_ns(text) == expected


def test_a_time_without_offset_needs_a_zone() -> None:
    """A naive time is refused with what to do about it, and is wall clock once a zone is set."""
    with pytest.raises(MessageError, match="set `timezone`"):
        instant_ns("2026-11-22T04:49:57")
    assert instant_ns("2026-11-22T04:49:57", zone=PARIS) == NS  # winter: UTC+1
    assert instant_ns("2026-07-01T02:00:00", zone=PARIS) == 1_782_864_000_000_000_000  # summer: UTC+2
    assert instant_ns("2026-11-22T03:49:57Z", zone=PARIS) == NS, "an offset that is written wins"


def test_a_wall_clock_time_that_comes_twice_is_its_first_occurrence() -> None:
    """On 2026-10-25 Paris shows 02:30 at 00:30Z and again at 01:30Z: the first is meant."""
    assert instant_ns("2026-10-25T02:30:00", zone=PARIS) == instant_ns("2026-10-25T00:30:00Z")


@pytest.mark.parametrize(
    ("count", "unit", "expected"),
    [
        (SECOND, "s", NS),
        (SECOND * 1000 + 123, "ms", NS + 123_000_000),
        (SECOND * 10**6 + 1, "us", NS + 1000),
        (NS + 1, "ns", NS + 1),
        (1795319397.123, "s", NS + 123_000_000),  # as written, not the nearest double's .12299990654
        (1795319397123.5, "ms", NS + 123_500_000),
        ("1795319397", "s", NS),
        ("1795319397.123456789", "s", NS + 123_456_789),
        (SECOND, "auto", NS),
        (SECOND * 1000, "auto", NS),
        (SECOND * 10**6, "auto", NS),
        (NS, "auto", NS),
        (1795319397.25, "auto", NS + 250_000_000),
        ("1795319397123", "auto", NS + 123_000_000),
        (946_684_800, "auto", 946_684_800 * 10**9),  # the year 2000 in seconds
        (4_102_444_800_000, "auto", 4_102_444_800 * 10**9),  # the year 2100 in milliseconds
    ],
)
def test_counts_since_the_epoch(count: object, unit: TimeUnit, expected: int) -> None:
    """Seconds, milliseconds, microseconds, nanoseconds; "auto" tells them apart by magnitude."""
    assert instant_ns(count, unit) == expected


@pytest.mark.parametrize(
    "time",
    [
        None,
        True,
        [],
        {},
        "",
        "yesterday",
        "NaN",
        "1e9",
        "Infinity",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T03:49:60Z",
        "2026-11-22T03:49:57+25:00",
        "2026-11-22T03:49:57+01:99",
        "0000-01-01T00:00:00Z",
        "2026-11-22",
        "٢٠٢٦-11-22T03:49:57Z",
        10**21,
        -1e300,
        float("inf"),
        float("nan"),
    ],
)
def test_what_is_no_time_is_refused(time: object) -> None:
    """Anything else is refused with a reason."""
    with pytest.raises(MessageError, match=r"time|offset"):
        instant_ns(time)


@given(st.text() | st.floats() | st.integers() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d)?"))
def test_only_message_errors_escape(time: object) -> None:
    """Whatever a publisher writes as a time is an instant or a MessageError."""
    for unit in get_args(TimeUnit):
        for zone in (None, PARIS):
            with suppress(MessageError):
                assert type(instant_ns(time, unit, zone)) is int
