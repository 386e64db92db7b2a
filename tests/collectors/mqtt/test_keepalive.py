"""When to ping, and when to believe that nobody is there, on times given by hand."""

from collectors.mqtt.keepalive import Keepalive


def test_a_ping_is_due_every_half_interval() -> None:
    """Pings go out twice per interval, whatever else is said."""
    keepalive = Keepalive(20, now=100)
    assert [keepalive.due(now) for now in (105, 110, 111, 119.9, 120)] == [False, True, False, False, True]


def test_silence_of_one_and_a_half_intervals_is_a_half_open_connection() -> None:
    """The connection is lost 30 s after the last byte when 20 s were agreed; any byte starts the count anew."""
    keepalive = Keepalive(20, now=100)
    assert not keepalive.lost(129.9)
    assert keepalive.lost(130)
    keepalive.heard(129)
    assert not keepalive.lost(158.9)
    assert keepalive.lost(159)


def test_a_broker_that_wants_no_keepalive_gets_none() -> None:
    """Interval 0 (a server keep-alive of 0) switches it off."""
    keepalive = Keepalive(0, now=0)
    assert not keepalive.due(1e9)
    assert not keepalive.lost(1e9)
