"""The fake store owes what the real ones owe, or tests that lean on it prove nothing."""

import pytest

from telemetry.protocols import Store
from tests.contracts.memory import MemoryStore
from tests.contracts.store import StoreContract
from tests.contracts.stored import Reopen


class TestMemoryStore(StoreContract):
    """It forgets nothing at a restart: the same object comes back."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        store = MemoryStore()

        def again() -> Store:
            return store

        return again
