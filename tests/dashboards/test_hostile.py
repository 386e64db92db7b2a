"""What strangers may send, and what every answer carries."""

import pytest
from httpx2 import Client

from dashboards.web.config import WebConfig
from telemetry.config import parse
from telemetry.errors import ConfigError
from telemetry.samples import Sample
from tests.dashboards.seeded import MILL, NOW_NS, Seeded

SAMPLES = f"/api/v1/samples?asset={MILL}&metric=state"


@pytest.mark.parametrize(
    ("address", "status", "kind", "says"),
    [
        ("/api/v1/samples", 422, "invalid-parameters", "asset: this parameter is required"),
        (f"{SAMPLES}&limit=0", 422, "invalid-parameters", "limit"),
        (f"{SAMPLES}&limit=10001", 422, "invalid-parameters", "limit"),
        (f"{SAMPLES}&limit=1e3", 422, "invalid-parameters", "limit"),
        (f"{SAMPLES}&form=2026-11-22T00:00:00Z", 422, "invalid-parameters", "form: there is no such parameter"),
        (f"{SAMPLES}&from=yesterday", 422, "invalid-parameters", "ISO 8601"),
        (f"{SAMPLES}&from=2026-11-22T00:00:00", 422, "invalid-parameters", "offset"),
        (f"{SAMPLES}&from=2000000000&to=1000000000", 422, "invalid-parameters", "swap"),
        (f"{SAMPLES}&order=random", 422, "invalid-parameters", "order"),
        ("/api/v1/samples?asset=km0/nowhere/x&metric=state", 404, "unknown-asset", "/api/v1/assets"),
        (f"/api/v1/samples?asset={MILL}&metric=statee", 404, "unknown-metric", "/api/v1/metrics"),
        (f"/api/v1/kpi-values?asset={MILL}&kpi=nope", 404, "unknown-kpi", "/api/v1/kpis"),
        ("/api/v1/samples?asset=';drop table samples;--&metric=state", 422, "invalid-parameters", "asset"),
        ("/api/v1/samples?asset=../../etc/passwd&metric=state", 422, "invalid-parameters", "asset"),
        ("/api/v1/assets/..%2f..%2fetc%2fpasswd", 404, "unknown-asset", "/api/v1/assets"),
        ("/api/v1/assets/%3Cscript%3Ealert(1)%3C/script%3E", 404, "unknown-asset", "/api/v1/assets"),
        ("/api/v1/nothing", 404, "not-found", ""),
        ("/api/v1/deadletters?before=99999999999999999999", 422, "invalid-parameters", "before"),
        ("/static/../app.py", 404, "not-found", ""),
        ("/static/%2e%2e/app.py", 404, "not-found", ""),
        ("/" + "a" * 9000, 414, "address-too-long", "8192"),
    ],
)
def test_refusals_say_what_to_change(client: Client, address: str, status: int, kind: str, says: str) -> None:
    """Every refusal is problem details with a kind and a sentence that helps, never a trace."""
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"urn:km0:problem:{kind}", status)
    assert says in problem["detail"]
    assert "Traceback" not in answer.text


def test_only_reading_is_served(client: Client) -> None:
    """No method but GET does anything."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, "/api/v1/samples")
        assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


@pytest.mark.parametrize(
    "address", ["/", "/api/v1/assets", "/static/live.js", "/nowhere", "/metrics", "/api/v1/samples"]
)
def test_every_answer_carries_the_security_headers(client: Client, address: str) -> None:
    """Nothing from other hosts, nothing inline, no framing, no sniffing: on pages, data, files and refusals."""
    headers = client.get(address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "evil.example:80"]
)
def test_foreign_host_names_are_refused(client: Client, host: str) -> None:
    """A page of another host that resolves its own name to us (DNS rebinding) reads nothing."""
    answer = client.get("/api/v1/assets", headers={"Host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "urn:km0:problem:unknown-host")


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "LOCALHOST", "[::1]:80"])
def test_own_names_are_served(client: Client, host: str) -> None:
    """This machine's own names are answered, with any port."""
    assert client.get("/api/v1/assets", headers={"Host": host}).status_code == 200


def test_html_in_data_stays_text(fresh: Client, blank: Seeded) -> None:
    """A reason or product that is markup is shown as text on the page."""
    for metric in ("reason", "product"):
        blank.store.write([Sample(NOW_NS - 10, MILL, metric, 0.0, '"><img src=x onerror=alert(1)>')])
    blank.store.write([Sample(NOW_NS - 10, MILL, "state", 2.0)])
    for address in ("/", f"/assets/{MILL}"):
        text = fresh.get(address).text
        assert "<img" not in text
        assert "&lt;img" in text


def test_a_bug_tells_nothing_of_itself(fresh: Client, blank: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is a plain 500 with the security headers; its words stay in the log."""

    def broken() -> None:
        raise RuntimeError("secret path /etc/shadow")

    monkeypatch.setattr(blank.store, "inventory", broken)
    answer = fresh.get(f"/api/v1/assets/{MILL}")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:km0:problem:bug")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('host = "example.org"', "is not an address"),
        ("port = 70000", "port"),
        ("prot = 80", "port"),
        ('hosts = ["a b"]', "hosts"),
    ],
)
def test_a_wrong_section_is_refused_with_its_line(text: str, says: str) -> None:
    """A mistake in [web] stops the start and says what to write."""
    with pytest.raises(ConfigError, match=says):
        parse(text, WebConfig)
