"""JSON of irtt (`irtt client -o FILE`): one record per packet, with the direction of a loss where its server knew."""

from typing import Annotated, Any, Final

import msgspec
import numpy as np

from pipeline.files.guard import RefusedFileError
from pipeline.recordings.recording import ANSWERED, LOST, LOST_DOWN, LOST_UP, Recording, checked_length
from pipeline.said import Said

_LARGEST: Final = 1e18
_LOST: Final = {"false": ANSWERED, "true": LOST, "true_up": LOST_UP, "true_down": LOST_DOWN}


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class _Times(msgspec.Struct):
    wall: _Int64 = 0
    monotonic: _Int64 = 0


class _Host(msgspec.Struct):
    send: _Times = msgspec.field(default_factory=_Times)
    receive: _Times = msgspec.field(default_factory=_Times)


class _Timestamps(msgspec.Struct):
    client: _Host = msgspec.field(default_factory=_Host)
    server: _Host = msgspec.field(default_factory=_Host)


class _Delay(msgspec.Struct):
    rtt: float | None = None
    send: float | None = None
    receive: float | None = None


class _RoundTrip(msgspec.Struct):
    seqno: _Int64
    lost: str = "false"
    timestamps: _Timestamps = msgspec.field(default_factory=_Timestamps)
    delay: _Delay = msgspec.field(default_factory=_Delay)


class _File(msgspec.Struct):
    round_trips: list[_RoundTrip]
    stats: dict[str, Any] = {}


def recognises(text: str) -> bool:
    """Whether the text is irtt's JSON."""
    return text.lstrip()[:1] == "{" and '"round_trips"' in text


def read(text: str) -> list[Recording]:
    """The one measurement of the file. Raises DecodeError: cut short, or not as irtt writes it."""
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedFileError(Said(
            f"not the JSON that irtt writes: {error}",
            f"ce n'est pas le JSON qu'écrit irtt, ou il est coupé ({error})",
        )) from error  # fmt: skip
    trips = sorted(file.round_trips, key=lambda trip: trip.seqno)
    if any(trip.lost not in _LOST for trip in trips):
        raise RefusedFileError(Said(
            f"a round trip's `lost` is none of {', '.join(_LOST)}",
            f"le champ `lost` d'un aller-retour n'est pas l'un de {', '.join(_LOST)}",
        ))  # fmt: skip
    if trips and trips[0].seqno < 0:
        raise RefusedFileError(Said("a sequence number is negative", "un numéro de séquence est négatif"))
    packets = checked_length(trips[-1].seqno + 1 if trips else 0)
    index = np.array([trip.seqno for trip in trips], np.int64)
    if np.unique(index).size != index.size:
        raise RefusedFileError(Said("a sequence number is there twice", "un numéro de séquence y est deux fois"))
    fate = np.full(packets, LOST, np.int8)
    fate[index] = [_LOST[trip.lost] for trip in trips]
    rtt, up, down = (np.full(packets, np.nan) for _ in range(3))
    for column, name in ((rtt, "rtt"), (up, "send"), (down, "receive")):
        values = [getattr(trip.delay, name) for trip in trips]
        column[index] = [np.nan if value is None else value / 1e6 for value in values]
        column[fate != ANSWERED] = np.nan
    received = np.array([trip.timestamps.client.receive.monotonic for trip in trips])
    answered = fate[index] == ANSWERED
    arrived = index[answered][np.argsort(received[answered], kind="stable")]
    sent = np.array([trip.timestamps.client.send.wall for trip in trips], np.int64)
    whole = index.size == packets and bool((sent > 0).all())
    notes = ["of the clocks irtt says nothing: its one-way delays are as good as they were set"]
    if np.isnan(up[fate == ANSWERED]).all():
        notes = ["without server timestamps it has no one-way delays"]
    if (fate == LOST).any():
        notes.append("for some losses irtt's server could not tell the direction")
    return [
        Recording(
            "irtt", fate, rtt, up, down, arrived, "both", sent if whole else None,
            duplicates=_count(file.stats, "duplicates"), said=_said(file.stats), notes=tuple(notes),
        )
    ]  # fmt: skip


def _count(stats: dict[str, Any], name: str) -> int | None:
    value = stats.get(name)
    return value if isinstance(value, int) else None


def _said(stats: dict[str, Any]) -> dict[str, float]:
    said: dict[str, float] = {}
    for theirs, ours, unit in (
        ("packets_sent", "sent", 1.0),
        ("packets_received", "received", 1.0),
        ("packet_loss_percent", "loss_ratio", 100.0),
        ("upstream_loss_percent", "loss_up_ratio", 100.0),
        ("downstream_loss_percent", "loss_down_ratio", 100.0),
    ):
        value = stats.get(theirs)
        if isinstance(value, int | float) and abs(value) < _LARGEST:
            said[ours] = value / unit
    times = stats.get("rtt")
    if isinstance(times, dict):
        for name in ("min", "mean", "max", "stddev"):
            value = times.get(name)
            if isinstance(value, int | float) and abs(value) < _LARGEST:
                said[f"rtt_{name}_ms"] = value / 1e6
    return said
