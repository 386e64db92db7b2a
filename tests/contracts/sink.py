"""What every Sink owes: inherit SinkContract and give the fixture `case`; run over the spool and the fake."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from telemetry.protocols import Sink
from telemetry.samples import Quality, Sample

ASSET = "km0/fabrication/cell-2/press-1"


@dataclass(frozen=True)
class SinkCase:
    """A sink and ways to look inside. `fill` makes it full, or as good as full; `relieve` makes room again."""

    sink: Sink
    kept: Callable[[], list[Sample]]
    letters: Callable[[], list[tuple[str, str, bytes]]]
    fill: Callable[[], None]
    relieve: Callable[[], None]


def samples(first: int, count: int, text: str = "") -> list[Sample]:
    """Samples that are numbered by their time."""
    return [Sample(n, ASSET, "product", n / 3, text, Quality.UNCERTAIN, n + 1) for n in range(first, first + count)]


class SinkContract:
    """Inherit, and give `case`."""

    @pytest.fixture
    def case(self) -> SinkCase:
        raise NotImplementedError

    async def test_what_was_put_is_kept_exactly_and_in_order(self, case: SinkCase) -> None:
        """Every field of every sample, texts of any language included."""
        await case.sink.put(samples(0, 3, "pièce — \N{GEAR}\x00"))
        await case.sink.put(samples(3, 1))
        assert case.kept() == samples(0, 3, "pièce — \N{GEAR}\x00") + samples(3, 1)

    async def test_puts_that_wait_together_keep_the_order_of_their_calls(self, case: SinkCase) -> None:
        """Collectors have several puts in hand; a state must not be overtaken by the one after it."""
        await asyncio.gather(*(case.sink.put(samples(n * 2, 2)) for n in range(50)))
        assert case.kept() == samples(0, 100)

    async def test_what_the_caller_does_with_its_list_afterwards_does_not_matter(self, case: SinkCase) -> None:
        """A collector reuses its list as soon as put returned."""
        batch = samples(0, 2)
        await case.sink.put(batch)
        batch.clear()
        await case.sink.put(batch)
        assert case.kept() == samples(0, 2)

    async def test_a_full_sink_makes_the_caller_wait(self, case: SinkCase) -> None:
        """Back-pressure, not loss: put returns when there is room again, in order."""
        case.fill()
        before = len(case.kept())
        puts = [asyncio.create_task(case.sink.put(samples(n, 1))) for n in range(20)]
        done, waiting = await asyncio.wait(puts, timeout=0.2)
        assert not done
        assert len(waiting) == 20
        assert len(case.kept()) == before
        case.relieve()
        await asyncio.gather(*puts)
        assert case.kept()[-20:] == samples(0, 20)

    async def test_a_put_cancelled_while_it_waits_leaves_nothing_and_blocks_nobody(self, case: SinkCase) -> None:
        """A collector that is stopped must not stop the others."""
        case.fill()
        cancelled = asyncio.create_task(case.sink.put(samples(0, 1)))
        other = asyncio.create_task(case.sink.put(samples(10, 1)))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        case.relieve()
        await other
        assert case.kept()[-1:] == samples(10, 1)
        assert samples(0, 1)[0] not in case.kept()

    async def test_a_put_cancelled_at_any_moment_is_whole_or_absent(self, case: SinkCase) -> None:
        """Never half a batch, and what comes after is kept."""
        for n in range(30):
            put = asyncio.create_task(case.sink.put(samples(n * 10, 10)))
            for _ in range(n % 4):
                await asyncio.sleep(0)
            put.cancel()
            await asyncio.wait([put])
        await case.sink.put(samples(1000, 1))
        numbers = [sample.time_ns for sample in case.kept()]
        assert numbers[-1] == 1000
        assert all(numbers.count(n * 10) == numbers.count(n * 10 + 9) <= 1 for n in range(30))

    async def test_a_dead_letter_is_kept_byte_for_byte_with_its_reason(self, case: SinkCase) -> None:
        """Whatever the bytes; in order."""
        await case.sink.set_aside("mqtt press-1", "not JSON: « é »", bytes(range(256)))
        await case.sink.set_aside("mqtt", "empty", b"")
        assert case.letters() == [("mqtt press-1", "not JSON: « é »", bytes(range(256))), ("mqtt", "empty", b"")]
