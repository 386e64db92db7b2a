"""Fixtures shared by every room; a peer started here ends with its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.pipeline.stores.influxd import Influxd
from tests.support import Mosquitto, free_port

# Same seed, same result: what `make test` asks today it asked yesterday. The soak tests ask something new each time.
settings.register_profile("km0", derandomize=True, deadline=None)
settings.load_profile("km0")

_LONGEST = (
    "tests/e2e/",
    "tests/km0/test_verify_library",
    "tests/dashboards/test_diagnoses.py",
    "tests/dashboards/test_schemathesis",
    "tests/collectors/opcua/",
    "tests/km0/",
    "tests/dashboards/test_walk",
    "tests/simulators/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that no worker is left with one of them at the end."""
    items.sort(
        key=lambda item: next((n for n, one in enumerate(_LONGEST) if item.nodeid.startswith(one)), len(_LONGEST))
    )


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(free_port(), folder)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_influxd(tmp_path: Path) -> Iterator[Influxd]:
    """An InfluxDB of the test's own, which it may stop, kill and limit."""
    server = Influxd(tmp_path / "influxd")
    server.start()
    yield server
    server.kill()
