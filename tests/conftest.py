"""Fixtures shared by every room; a peer started here ends with its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Mosquitto, free_port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(free_port(), folder)
    broker.start()
    yield broker
    broker.stop()
