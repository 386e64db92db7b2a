"""What schemathesis asks the described API: run by test_schemathesis.py.

Not collected with the others: making the questions takes ten seconds, and every worker of a test run would make them.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dashboards.web.app import create_app
from dashboards.web.config import WebConfig
from tests.dashboards.seeded import full

APP = create_app(full(rtt_every_ns=60 * 10**9, config=WebConfig(port=0, hosts=("testserver",))).context)
REFUSED = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429, "5xx"]
"""What says that a wrong question was refused; schemathesis does not count 414, an address that is too long."""

CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
SCHEMA = schemathesis.openapi.from_asgi("/api/v1/openapi.json", APP, config=CONFIG).exclude(path="/api/v1/events")
"""Event streams never end: test_server.py reads them."""

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def judged(examples: int, *, derandomize: bool = True) -> settings:
    """The same questions each time, or other ones."""
    phases = (Phase.explicit, Phase.generate)
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=derandomize,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


@SCHEMA.parametrize()
@judged(4)
def test_the_api_keeps_to_its_description(case: Case) -> None:
    """No server error, no undescribed status or shape, and nothing wrong is accepted, whatever is asked."""
    case.call_and_validate(checks=CHECKS)


@pytest.mark.soak
@SCHEMA.parametrize()
@judged(150, derandomize=False)
def test_the_api_keeps_to_its_description_for_long(case: Case) -> None:
    """The same with many more questions."""
    case.call_and_validate(checks=CHECKS)
