"""The web app over the seeded plant."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.app import create_app
from tests.dashboards.seeded import Seeded, empty, full


@pytest.fixture(scope="module")
def day() -> Seeded:
    """A day of the plant; tests that change it use `blank`."""
    return full()


@pytest.fixture
def blank() -> Seeded:
    return empty()


@pytest.fixture(scope="module")
def day_app(day: Seeded) -> Iterator[FastAPI]:
    app = create_app(day.context)
    yield app
    app.state.close()


@pytest.fixture
def client(day_app: FastAPI) -> Iterator[Client]:
    """A visitor of his own, of the app that a module shares: it only reads."""
    with TestClient(day_app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def fresh(blank: Seeded) -> Iterator[Client]:
    with TestClient(create_app(blank.context), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
