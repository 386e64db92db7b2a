"""What chronyc and pmc print, as documented, and what the kernel of this machine says."""

import sys

import pytest

from collectors.probe import timekeeping

CHRONY = (
    "A9FEA97B,169.254.169.123,4,1763780000.1,-0.000012,0.000001,0.000008,-2.1,0.001,0.03,0.000400,0.000300,16.1,Normal"
)
PTP = """sending: GET TIME_STATUS_NP
        001122.fffe.334455-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP
                master_offset              -1850
                ingress_time               1763780000123456789
                gmPresent                  true
                gmIdentity                 001122.fffe.667788
"""


def test_chrony() -> None:
    """Offset 12 µs, dispersion 300 µs and half of 400 µs of delay make 512 µs."""
    state = timekeeping.from_chrony(CHRONY)
    assert state is not None
    assert state.synchronised
    assert state.error_s == pytest.approx(512e-6)
    lost = timekeeping.from_chrony(CHRONY.replace("Normal", "Not synchronised"))
    assert lost is not None
    assert not lost.synchronised


def test_ptp4l() -> None:
    """1.85 µs off its master, and a microsecond for software timestamps; without a grandmaster it is free-running."""
    state = timekeeping.from_ptp4l(PTP)
    assert state is not None
    assert state.synchronised
    assert state.error_s == pytest.approx(2.85e-6)
    alone = timekeeping.from_ptp4l(PTP.replace("true", "false"))
    assert alone is not None
    assert not alone.synchronised


@pytest.mark.parametrize("text", ["", "506 Cannot talk to daemon", "a,b,c", CHRONY.replace("0.000400", "x")])
def test_what_is_no_answer(text: str) -> None:
    """What is not the answer of the program is no state of the clock."""
    assert timekeeping.from_chrony(text) is None
    assert timekeeping.from_ptp4l(text) is None


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_kernel() -> None:
    """The kernel always says something: synchronised within its maximum error, or not."""
    state = timekeeping.from_kernel()
    assert state is not None
    assert state.error_s == 1.0 if not state.synchronised else 0 <= state.error_s < 17
    assert 0 < state.estimate.seconds < 17.5
