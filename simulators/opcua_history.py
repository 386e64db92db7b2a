"""HistoryRead answered by living a machine's life again: nothing is stored, so nothing can be missing."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from asyncua import ua
from asyncua.server.history import HistoryDict
from asyncua.ua.status_codes import StatusCodes

from simulators.timeline import Event, Timeline, Value

Told = tuple[int, str, Value | None]
"""(time_ns, metric, value); None: from then on the value is bad."""

_GOOD: Final = ua.StatusCode(ua.UInt32(StatusCodes.Good))
_BAD: Final = ua.StatusCode(ua.UInt32(StatusCodes.BadNoCommunication))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ProcessHistory(HistoryDict):
    """The past of every variable. `retell` gives the events of an asset from its birth, `present_ns` where they end
    [ns], `spelled` the nodes that an event writes."""

    def __init__(
        self,
        retell: Callable[[str], Iterator[Told]],
        present_ns: Callable[[str], int],
        spelled: Callable[[str, Told], Iterable[tuple[str, Any]]],
    ) -> None:
        super().__init__()
        self._spelled = spelled
        self._present_ns = present_ns
        self._retell = retell
        self._series: dict[ua.NodeId, tuple[str, str]] = {}
        self._told: dict[str, tuple[Timeline, dict[str, list[ua.DataValue]]]] = {}

    def add(self, node: ua.NodeId, asset: str, key: str) -> None:
        self._series[node] = asset, key

    async def read_node_history(
        self, node_id: ua.NodeId, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[ua.DataValue], datetime | None]:
        """Raw values of a variable between two instants, both included, at most now: Part 11, 6.4.3."""
        if node_id not in self._series:
            return [], None
        asset, key = self._series[node_id]
        self._datachanges[node_id] = self._until_now(asset).setdefault(key, [])
        if end is not None:
            end = min(end, datetime.now(UTC).replace(tzinfo=end.tzinfo))
        return await super().read_node_history(node_id, start, end, nb_values)

    def _until_now(self, asset: str) -> dict[str, list[ua.DataValue]]:
        if not (present_ns := self._present_ns(asset)):
            return {}  # nothing was told yet, and of a recording not even how far its times are moved
        if asset not in self._told:
            self._told[asset] = Timeline(cast("Iterator[Event]", self._retell(asset))), {}
        timeline, values = self._told[asset]
        for event in timeline.until(present_ns + 1):
            for key, variant in self._spelled(asset, event):
                values.setdefault(key, []).append(data_value(event[0], variant))
        return values


def source_time(time_ns: int) -> datetime:
    """An instant [ns], to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1_000)


def data_value(time_ns: int, variant: Any) -> ua.DataValue:
    """A value with the source time of its event; bad where there is none."""
    return ua.DataValue(
        variant,
        StatusCode=_GOOD if variant is not None else _BAD,
        SourceTimestamp=cast("ua.DateTime", source_time(time_ns)),
        ServerTimestamp=cast("ua.DateTime", datetime.now(UTC)),
    )
