"""One influxd for all tests that do not harm it."""

from collections.abc import Iterator

import pytest

from tests.pipeline.stores.influxd import Influxd


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.stop()
