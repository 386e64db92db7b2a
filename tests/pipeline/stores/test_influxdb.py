"""InfluxDB: the contract on a real influxd, and what somebody with Grafana finds there."""

from collections.abc import Iterator
from itertools import count

import pytest

from pipeline.stores.influxdb import InfluxDbStore
from telemetry.protocols import Store
from tests.contracts.store import Reopen, StoreContract
from tests.pipeline.stores.influxd import Influxd

_numbers = count()


class TestInfluxDbStore(StoreContract):
    """Debian's influxd 1.6.7."""

    @pytest.fixture
    def reopen(self, influxd: Influxd) -> Iterator[Reopen]:
        config = influxd.databases(f"contract_{next(_numbers)}_")
        held: list[InfluxDbStore] = []

        def again() -> Store:
            for store in held:
                store.close()
            held[:] = [InfluxDbStore(config)]
            return held[0]

        yield again
        for store in held:
            store.close()
