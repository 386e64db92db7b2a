"""Companies that a module of tests shares, and some of a test's own."""

from collections.abc import Iterator

import pytest

from tests.dashboards.accounts.companies import Companies, companies


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    """For tests that change nothing."""
    found = companies(tmp_path_factory.mktemp("web"))
    yield found
    found.app.state.close()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    found = companies(tmp_path_factory.mktemp("web"))
    yield found
    found.app.state.close()
