"""HistoryRead of raw values: what the server kept while nobody listened (OPC 10000-11, 6.5.3).

Many nodes share one request, within the server's limits. A request has one start for all of its nodes, so only nodes
whose holes are of like length share one: none is asked for more than twice the time that it misses.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Any, Final

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.session import Session
from collectors.opcua.wire import HistoryPage, Reading, history
from telemetry.errors import DecodeError, SourceError
from telemetry.samples import SECOND_NS
from telemetry.validity import can_be

PAGE: Final = 1000
"""Most values of a node asked for at a time."""

MOST: Final = 10_000
"""Most values asked for in one request, of all its nodes: what is held in memory until it is durable."""

_AHEAD: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NO_HISTORY: Final = (ua.uaerrors.BadServiceUnsupported, ua.uaerrors.BadHistoryOperationUnsupported)
_TOO_MUCH: Final = (ua.uaerrors.BadResponseTooLarge, ua.uaerrors.BadEncodingLimitsExceeded)


@dataclass(frozen=True, slots=True)
class Hole:
    """A node ("ns=3;s=…") and the instant [ns] from which on values of it may be missing, inclusive."""

    handle: int
    node: str
    start_ns: int
    alone: bool = False
    """It shares its request with no other: together they asked too much."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one answer holds of a hole, oldest first. `whole`: there is no more; `refusal`: why there is none."""

    hole: Hole
    readings: Sequence[Reading] = ()
    whole: bool = False
    refusal: str = ""


async def read_raw(session: Session, holes: Iterable[Hole], page: int = PAGE) -> AsyncIterator[list[Part]]:
    """What the server kept of each hole up to its newest value, an answer at a time; of a hole the last part is
    `whole` or a `refusal`. Raises SourceError when the connection breaks.

    Continuation points are followed; a full page without one is not believed to be the last (asyncua's server says
    so), and the next starts at its newest value.
    """
    waiting = list(holes)
    while waiting:
        waiting.sort(key=lambda hole: hole.start_ns)
        together = _together(waiting, session.batch("history"))
        del waiting[: len(together)]
        async for parts, later in _read(session, together, min(page, max(1, MOST // len(together)))):
            waiting += later
            if parts:
                yield parts


def _together(waiting: Sequence[Hole], most: int) -> list[Hole]:
    """The first holes of those waiting, in order of their start, that can share a request."""
    now = time_ns()
    first, length = waiting[0], _length(waiting[0], now)
    some = [first]
    for hole in waiting[1 : 1 if first.alone else most]:
        if hole.alone or 2 * _length(hole, now) < length:
            break
        some.append(hole)
    return some


def _length(hole: Hole, now_ns: int) -> int:
    return max(SECOND_NS, now_ns - hole.start_ns)


async def _read(session: Session, holes: list[Hole], page: int) -> AsyncIterator[tuple[list[Part], list[Hole]]]:
    """Parts of holes read together, and the holes that are to be asked for again from another start or alone."""
    start_ns = holes[0].start_ns
    pending: list[tuple[Hole, bytes | None]] = [(hole, None) for hole in holes]

    async def ask(some: Sequence[tuple[Hole, bytes | None]]) -> Sequence[HistoryPage]:
        return history(await session.request(_request(some, start_ns, page)))

    while pending:
        parts: list[Part] = []
        again: list[Hole] = []
        more: list[tuple[Hole, bytes | None]] = []
        try:
            pages = await session.batched("history", pending, ask)
        except (SourceError, DecodeError) as error:
            if isinstance(error, SourceError) and not isinstance(error.__cause__, _NO_HISTORY + _TOO_MUCH):
                raise
            if len(pending) > 1 and not isinstance(error.__cause__, _NO_HISTORY):
                yield [], [replace(hole, alone=True) for hole, _ in pending]
            else:
                yield [Part(hole, refusal=str(error)) for hole, _ in pending], []
            return
        for (hole, asked), found in zip(pending, pages, strict=True):
            readings = [one for one in found.readings if (one.source_ns or one.server_ns) >= hole.start_ns]
            if found.status == StatusCodes.BadNoContinuationPoints and not hole.alone:
                again.append(replace(hole, alone=True))
            elif found.status >> 30 >= 2:
                parts.append(Part(hole, refusal=ua.StatusCode(ua.UInt32(found.status)).name))
            elif found.more:
                parts.append(Part(hole, readings))
                more.append((hole, found.more))
            elif not found.readings and asked is None:
                # We ask from a value on that we know of: a history without it is none (asyncua says so, with Good).
                parts.append(Part(hole, refusal="its history is empty"))
            else:
                now = time_ns()
                newest = max((one.source_ns for one in found.readings if can_be(one.source_ns, now)), default=0)
                whole = len(found.readings) < page or newest <= start_ns
                parts.append(Part(hole, readings, whole))
                if not whole:
                    again.append(replace(hole, start_ns=max(newest, hole.start_ns)))
        yield parts, again
        pending = more


def _request(some: Sequence[tuple[Hole, bytes | None]], start_ns: int, page: int) -> Any:
    request = ua.HistoryReadRequest()
    request.Parameters.HistoryReadDetails = ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=_EPOCH + timedelta(microseconds=start_ns // 1000),
        EndTime=datetime.now(UTC) + _AHEAD,
        NumValuesPerNode=page,
        ReturnBounds=False,
    )
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = False
    request.Parameters.NodesToRead = [
        ua.HistoryReadValueId(NodeId=ua.NodeId.from_string(hole.node), ContinuationPoint=more) for hole, more in some
    ]
    return request
