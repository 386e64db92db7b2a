"""HistoryRead of raw values: what the server kept while nobody listened (OPC 10000-11, 6.5.3)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from asyncua import ua

from collectors.opcua.session import Session
from collectors.opcua.wire import Reading, history
from telemetry.errors import DecodeError, SourceError

PAGE: Final = 1000
"""Values asked for at a time."""

_AHEAD: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NoHistoryError(Exception):
    """The server keeps no history of this node, or does not let us read it; the text is its status."""


async def read_raw(session: Session, node: str, start_ns: int, page: int = PAGE) -> AsyncIterator[list[Reading]]:
    """Pages of the values of a node ("ns=3;s=…") from `start_ns` [ns], inclusive, up to the newest, oldest first.

    Raises NoHistoryError, or SourceError when the connection breaks. Continuation points are followed; a full page
    without one is not believed to be the last (asyncua's server says so), and the next starts at its newest value.
    """
    more, first = b"", True
    while True:
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
            ua.HistoryReadValueId(NodeId=ua.NodeId.from_string(node), ContinuationPoint=more or None)
        ]
        try:
            pages = history(await session.request(request))
        except SourceError as error:
            if isinstance(
                error.__cause__, (ua.uaerrors.BadServiceUnsupported, ua.uaerrors.BadHistoryOperationUnsupported)
            ):
                raise NoHistoryError(str(error)) from error
            raise
        except DecodeError as error:
            raise NoHistoryError(str(error)) from error
        if len(pages) != 1:
            raise NoHistoryError(f"{len(pages)} results for one node")
        found = pages[0]
        if found.status >> 30 >= 2:
            raise NoHistoryError(ua.StatusCode(ua.UInt32(found.status)).name)
        if found.readings:
            yield found.readings
        elif first:
            # We ask from a value on that we know of: a history without it is none (asyncua answers so, with Good).
            raise NoHistoryError("its history is empty")
        first = False
        more = found.more
        if not more:
            newest = max((reading.source_ns for reading in found.readings), default=0)
            if len(found.readings) < page or newest <= start_ns:
                return
            start_ns = newest
