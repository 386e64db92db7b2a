"""The lives of all machines of a plant, of which some wait for one another: a line with room between its machines.

Part n of a machine is begun when the one before it has made its n-th good part (until then it is STARVED), and the one
before begins part n + room only when part n was taken (until then it is BLOCKED). Each waits for something that
happened earlier, so both lives are told without ever going back in time.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from simulators.machine import Fact, MachineModel, Supply, facts

NS_PER_MS: Final = 1_000_000


def lives(models: Mapping[str, MachineModel], path: str, seed: int, born_ns: int) -> Iterator[Fact]:
    """The life of one machine, with those it waits for lived beside it; each call lives anew from birth on [ns]."""
    return _Line(models, seed, born_ns // NS_PER_MS).facts(path)


class _Line:
    def __init__(self, models: Mapping[str, MachineModel], seed: int, born_ms: int) -> None:
        self._models = models
        self._seed = seed
        self._born_ms = born_ms
        self._followers = {model.takes_from: path for path, model in models.items() if model.takes_from}
        self._supplies: dict[str, Supply] = {}
        self._sources: dict[str, Iterator[Fact]] = {}
        self._waiting: dict[str, deque[Fact]] = {}
        self._wanted = ""

    def facts(self, path: str) -> Iterator[Fact]:
        self._wanted = path
        self._waiting[path] = deque()
        source = self._source(path)
        while True:
            yield from self._advance(path, source)

    def _advance(self, path: str, source: Iterator[Fact]) -> Iterator[Fact]:
        """What was told while another machine pulled this one on, then its next fact."""
        told = self._waiting[path]
        while told:
            yield told.popleft()
        fact = next(source)
        while told:
            yield told.popleft()
        yield fact

    def _source(self, path: str) -> Iterator[Fact]:
        if path not in self._sources:
            model = self._models[path]
            before = self._supply(model.takes_from, path) if model.takes_from in self._models else None
            follower = self._followers.get(path)
            after = self._supply(path, follower) if follower is not None else None
            self._sources[path] = facts(model, self._seed, self._born_ms, before=before, after=after)
        return self._sources[path]

    def _supply(self, maker: str | None, taker: str) -> Supply:
        assert maker is not None
        if maker not in self._supplies:
            room = self._models[taker].buffer
            self._supplies[maker] = Supply(maker, taker, room, lambda: self._pull(maker), lambda: self._pull(taker))
        return self._supplies[maker]

    def _pull(self, path: str) -> None:
        """Live a machine on by one fact; keep it when it is the one that is being told."""
        fact = next(self._source(path))
        if path == self._wanted:
            self._waiting[path].append(fact)
