"""Every route against everybody: who may pass, written down here by hand, for each route there is."""

import pytest
from fastapi import APIRouter

from dashboards.web.accounts import walls
from tests.dashboards.accounts.companies import Companies
from tests.dashboards.seeded import LINK, MILL

PEOPLE = ("nobody", "viewer", "engineer", "administrator", "guest", "token read", "token write")
HOST = {"viewer", "engineer", "administrator"}
PLANT = HOST | {"token read"}
ANYBODY_INSIDE = HOST | {"guest"}
OWN = PLANT | {"guest"}
MAKERS = {"engineer", "administrator", "guest", "token write"}
ALL = set(PEOPLE)

ROUTES: dict[tuple[str, str], set[str]] = {
    ("GET", "/"): PLANT,
    ("GET", "/assets/{path:path}"): PLANT,
    ("GET", "/losses"): PLANT,
    ("GET", "/network"): PLANT,
    ("GET", "/data"): PLANT,
    ("GET", "/deadletters"): PLANT,
    ("GET", "/deadletters/{number}"): PLANT,
    ("GET", "/settings"): PLANT,
    ("GET", "/definitions"): OWN,
    ("GET", "/live"): PLANT,
    ("GET", "/metrics"): PLANT,
    ("GET", "/charts/losses/{name}"): PLANT,
    ("GET", "/charts/network/delays"): PLANT,
    ("GET", "/static/vega.js"): ALL,
    ("GET", "/api/v1/events"): PLANT,
    ("GET", "/api/v1/assets"): PLANT,
    ("GET", "/api/v1/assets/{path:path}"): PLANT,
    ("GET", "/api/v1/plant"): PLANT,
    ("GET", "/api/v1/states"): PLANT,
    ("GET", "/api/v1/samples.{form}"): PLANT,
    ("GET", "/api/v1/kpi-values.{form}"): PLANT,
    ("GET", "/api/v1/deadletters/{number}"): PLANT,
    ("GET", "/api/v1/use-cases"): OWN,
    ("GET", "/api/v1/me"): OWN,
    ("GET", "/api/v1/samples"): PLANT,
    ("GET", "/api/v1/kpi-values"): PLANT,
    ("GET", "/api/v1/health"): PLANT,
    ("GET", "/api/v1/deadletters"): PLANT,
    ("GET", "/api/v1/plant/now"): PLANT,
    ("GET", "/api/v1/links/latency"): PLANT,
    ("GET", "/api/v1/links/service"): PLANT,
    ("GET", "/api/v1/links/radio"): PLANT,
    ("GET", "/api/v1/losses"): PLANT,
    ("GET", "/api/v1/rollup"): PLANT,
    ("GET", "/api/v1/orders"): PLANT,
    ("GET", "/api/v1/metrics"): OWN,
    ("GET", "/api/v1/kpis"): OWN,
    ("GET", "/diagnoses"): OWN,
    ("GET", "/diagnoses/{number}"): OWN,
    ("GET", "/charts/diagnoses/{number}/{name}"): OWN,
    ("GET", "/api/v1/diagnoses"): OWN,
    ("GET", "/api/v1/diagnoses/{number}"): OWN,
    ("GET", "/api/v1/diagnoses/{number}/proposal"): OWN,
    ("GET", "/api/v1/diagnoses/{number}/result"): OWN,
    ("GET", "/api/v1/diagnoses/{number}/report.{form}"): OWN,
    ("GET", "/api/v1/diagnoses/{number}/losses.csv"): OWN,
    ("GET", "/api/v1/diagnoses/{number}/bad-rows.csv"): OWN,
    ("GET", "/api/v1/mappings"): OWN,
    ("POST", "/diagnoses/plant"): MAKERS - {"guest"},
    ("POST", "/api/v1/diagnoses/plant"): MAKERS - {"guest"},
    ("POST", "/diagnoses/{number}"): MAKERS,
    ("POST", "/diagnoses/{number}/remove"): MAKERS,
    ("POST", "/diagnoses/{number}/link"): MAKERS,
    ("POST", "/mappings/{name}/drop"): MAKERS,
    ("POST", "/api/v1/diagnoses"): MAKERS,
    ("DELETE", "/api/v1/diagnoses/{number}"): MAKERS,
    ("POST", "/api/v1/diagnoses/{number}/run"): MAKERS,
    ("PUT", "/api/v1/diagnoses/{number}/link"): MAKERS,
    ("DELETE", "/api/v1/diagnoses/{number}/link"): MAKERS,
    ("PUT", "/api/v1/mappings/{name}"): MAKERS,
    ("DELETE", "/api/v1/mappings/{name}"): MAKERS,
    ("GET", "/login"): ALL,
    ("POST", "/login"): ALL,
    ("GET", "/welcome/{secret}"): ALL,
    ("POST", "/welcome/{secret}"): ALL,
    ("GET", "/login/oidc"): ALL,
    ("GET", "/login/oidc/done"): ALL,
    ("GET", "/account/oidc"): ANYBODY_INSIDE,
    ("POST", "/account/oidc/end"): ANYBODY_INSIDE,
    ("POST", "/logout"): ANYBODY_INSIDE,
    ("GET", "/account"): ANYBODY_INSIDE,
    ("POST", "/account/organisation"): ANYBODY_INSIDE,
    ("POST", "/account/tokens"): ANYBODY_INSIDE,
    ("POST", "/account/tokens/{number}/end"): ANYBODY_INSIDE,
    ("GET", "/people"): {"administrator", "guest"},
    ("POST", "/people"): {"administrator", "guest"},
    ("POST", "/people/{user}/role"): {"administrator", "guest"},
    ("POST", "/people/{user}/link"): {"administrator", "guest"},
    ("POST", "/people/organisations"): {"administrator"},
}
STREAMS = ("/live", "/api/v1/events")
"""Answers that never end: only their refusals are asked for here (test_server.py reads them)."""

LOGGED_OUT = {"/logout"}


def address(path: str) -> str:
    """An address of the route; what is asked there need not exist: whoever may pass gets no refusal of the wall."""
    chosen = {"{path:path}": MILL, "{number}": "999999", "{user}": "999999", "{secret}": "none", "{form}": "pdf"}
    if path.startswith(("/diagnoses", "/api/v1/diagnoses", "/charts/diagnoses")):
        chosen["{number}"] = "0f" * 16
    for name, value in {**chosen, "{name}": "pareto"}.items():
        path = path.replace(name, value)
    return path


def test_every_route_is_written_down_here(shared: Companies) -> None:
    """A new route fails this test until somebody has said who may ask for it."""
    assert set(walls.routes_of(shared.app.state.routers)) == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_a_route_lets_pass_whom_it_should_and_nobody_else(shared: Companies, method: str, path: str) -> None:
    """401 for nobody in particular, 403 for the wrong role, organisation or scope."""
    for person in PEOPLE:
        may = person in ROUTES[method, path]
        if may and (path in STREAMS or path in LOGGED_OUT):
            continue
        client = shared.client(None if person == "nobody" else person)
        status = client.request(method, address(path), headers={"Accept": "application/json"}).status_code
        if may:
            # a form without its fields is wrong, what does not exist is missing: both are behind the wall
            assert status not in (401, 403), person
        else:
            assert status == (401 if person == "nobody" else 403), person


def test_a_page_without_a_session_leads_to_the_login_and_back(shared: Companies) -> None:
    """The address asked for, with its query, is what the login goes on to."""
    answer = shared.client().get(f"/losses?asset={LINK}", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Flosses%3Fasset%3Dkm0%2Fnetwork%2F5g%2Flink-1"


def test_a_route_that_nobody_wrote_down_stops_the_start() -> None:
    """Forgetting the wall of a route is found before anybody asks for it."""
    routes = APIRouter()

    @routes.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(LookupError, match="/forgotten"):
        walls.check([routes])


def test_a_guest_is_not_shown_the_rooms_of_the_plant(shared: Companies) -> None:
    """The navigation has what is open to whoever asks."""
    page = shared.client("guest").get("/definitions?lang=en").text
    assert 'href="/losses"' not in page
    assert 'href="/definitions"' in page


def test_who_is_not_let_in_reads_why_in_french(shared: Companies) -> None:
    """The role by the name that the page of people has for it."""
    french = {"Accept": "text/html", "Accept-Language": "fr"}
    guest, viewer = shared.client("guest"), shared.client("viewer")
    assert "Cet atelier est celui d&#39;une autre organisation." in guest.get("/losses", headers=french).text
    refused = viewer.get("/people", headers=french)
    assert refused.status_code == 403
    assert "Il faut le rôle « administrateur » ; le vôtre est « lecteur »." in refused.text
