"""The fake sink owes what the spool owes, or tests of collectors that lean on it prove nothing."""

import pytest

from tests.contracts.memory import MemorySink
from tests.contracts.sink import SinkCase, SinkContract


class TestMemorySink(SinkContract):
    """Full means blocked."""

    @pytest.fixture
    async def case(self) -> SinkCase:
        sink = MemorySink()
        return SinkCase(
            sink,
            lambda: sink.samples,
            lambda: [(letter.source, letter.reason, letter.raw) for letter in sink.dead_letters],
            sink.block,
            sink.unblock,
        )
