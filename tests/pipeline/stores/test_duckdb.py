"""The embedded store: the contract, and what only a file can get wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.stores.duckdb import DuckDbStore
from telemetry.protocols import Store
from tests.contracts.store import Reopen, StoreContract


def reopening(path: Path, compact_rows: int) -> Iterator[Reopen]:
    held: list[DuckDbStore] = []

    def again() -> Store:
        for store in held:
            store.close()
        held[:] = [DuckDbStore(path, compact_rows=compact_rows)]
        return held[0]

    yield again
    for store in held:
        store.close()


class TestDuckDbStore(StoreContract):
    """As shipped."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        yield from reopening(tmp_path / "store.duckdb", 1_000_000)


class TestDuckDbStoreCompacting(StoreContract):
    """The same when every write compacts: nobody can tell."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        yield from reopening(tmp_path / "store.duckdb", 1)
