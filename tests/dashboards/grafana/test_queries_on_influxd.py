"""Every query of every panel, variables filled in, against a real influxd that holds a simulated day."""

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from itertools import pairwise
from typing import Any
from urllib.request import urlopen

import pytest

from dashboards.grafana import alerts
from dashboards.grafana.render import boards
from dashboards.grafana.texts import Texts
from simulators.demo import MACHINES
from telemetry.plant import Plant
from telemetry.samples import SECOND_NS
from tests.dashboards.grafana.asking import Asked, ask, asked, filled, panels
from tests.dashboards.grafana.fields import Fields
from tests.dashboards.grafana.frames import frames
from tests.dashboards.grafana.pictures import picture
from tests.dashboards.grafana.simulated_day import HOUR_NS, Day, events, loaded
from tests.pipeline.stores.influxd import Influxd

MACHINE_WITH_POWER = {"site": "km0", "area": "fabrication", "line": "cell-2", "asset": "press-1"}
MILL = {"site": "km0", "area": "fabrication", "line": "cell-1", "asset": "mill-1"}
EVERYTHING = {"site": ".*", "area": ".*", "line": ".*", "asset": ".*", "window": "h"}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    server = Influxd(tmp_path_factory.mktemp("grafana"))
    server.start()
    try:
        yield loaded(server)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def english(day: Day) -> dict[str, dict[str, Any]]:
    return boards(day.plant, "en")


@pytest.fixture(scope="module")
def answers(day: Day, english: dict[str, dict[str, Any]]) -> list[Asked]:
    return [one for name, board in english.items() for one in asked(day, name, board, EVERYTHING, "5m")]


def test_no_panel_is_empty(answers: list[Asked]) -> None:
    """Each query of each panel gives at least one row with a figure or a word in it."""
    empty = [
        (one.board, one.panel, one.query)
        for one in answers
        if not any(cell not in (None, "") for series in one.series for row in series["values"] for cell in row[1:])
    ]
    assert empty == []


def test_no_line_is_invisible(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """Each curve has neighbours to be joined with: a figure per hour asked for in steps of minutes would be dots."""
    lonely = []
    for name, board in english.items():
        for panel in panels(board):
            if panel["type"] != "timeseries":
                continue
            for frame in frames(day, panel, EVERYTHING, panel.get("interval", "5m")):
                for column, cells in frame.columns.items():
                    known = [cell is not None for cell in cells]
                    joined = panel["fieldConfig"]["defaults"]["custom"].get("spanNulls") or any(
                        one and other for one, other in pairwise(known)
                    )
                    if column != "Time" and sum(known) > 1 and not joined:
                        lonely.append((name, panel["title"], column))
    assert lonely == []


def test_what_holds_is_known_from_the_first_instant_on(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """The state, cell or connection in force when the range begins is in the answer, though it was told before."""
    late = replace(day, start_ns=day.end_ns - 3600 * SECOND_NS)
    strips = [
        (name, one) for name, board in english.items() for one in panels(board) if one["type"] == "state-timeline"
    ]
    assert len(strips) == 3
    for name, panel in strips:
        for frame in frames(late, panel, EVERYTHING, "10s"):
            assert frame.columns["Time"][0] <= late.start_ns // 1_000_000, (name, panel["title"])


def test_a_pareto_begins_with_the_longest(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """Hours lost by category are sorted, and add up to required less useful time."""
    [panel] = [one for one in panels(english["losses"]) if one["title"] == "Hours lost by category"]
    [frame] = frames(day, panel, EVERYTHING, "1h")
    hours = [float(cell or 0) for cell in frame.columns["Total"]]
    assert hours == sorted(hours, reverse=True)
    [reasons] = [one for one in panels(english["losses"]) if one["title"] == "Hours stopped by reason"]
    [stopped] = frames(day, reasons, EVERYTHING, "1h")
    seconds = [float(cell or 0) for cell in stopped.columns["Total"]]
    assert seconds == sorted(seconds, reverse=True)
    assert "production" not in stopped.columns["Field"]  # what a running machine says is no reason of a stop
    categories = dict(zip(frame.columns["Field"], hours, strict=True))
    stops = sum(lost for word, lost in categories.items() if word not in ("Slow cycles", "Bad parts"))
    assert sum(seconds) / 3600 == pytest.approx(stops, rel=1e-4)
    [machines] = [one for one in panels(english["losses"]) if one["title"] == "Hours lost by machine"]
    [by_machine] = frames(day, machines, EVERYTHING, "1h")
    assert sum(hours) == pytest.approx(sum(float(cell or 0) for cell in by_machine.columns["Total"]), rel=1e-6)


def test_answers_have_the_shape_that_their_panel_shows(answers: list[Asked]) -> None:
    """A time and at least one column; shares lie between nothing and all."""
    for one in answers:
        for series in one.series:
            assert series["columns"][0] == "time", one
            assert len(series["columns"]) >= 2, one
            for column, place in zip(series["columns"], range(len(series["columns"])), strict=True):
                if column in ("do", "tq", "known", "loss", "availability", "coverage"):
                    figures = [row[place] for row in series["values"] if isinstance(row[place], float | int)]
                    assert all(0 <= figure <= 1.000001 for figure in figures), (one, figures)


@pytest.mark.parametrize("name", ["wall", "machine", "losses", "shift", "network", "data_path", "energy"])
def test_a_board_can_be_drawn(day: Day, english: dict[str, dict[str, Any]], name: str) -> None:
    """The picture for the documentation shows every panel by its title, and says that it is no screenshot."""
    drawn = picture(english[name], day, "en", EVERYTHING | MILL)
    assert "not a screenshot" in drawn
    for panel in panels(english[name]):
        assert escape(panel["title"]) in drawn


def test_annotations_are_found(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """Alarms, breaks, repairs and shift changes of the day are there with their text, and what is not over yet."""
    texts: dict[str, list[Any]] = {}
    for annotation in english["machine"]["annotations"]["list"]:
        target = annotation["target"]
        query = filled(target["query"], EVERYTHING, day.start_ns, day.end_ns, "5m")
        series, _ = ask(day, target["datasource"]["uid"], query)
        texts[annotation["name"]] = [row[one["columns"].index("text")] for one in series for row in one["values"]]
    assert "spindle temperature high" in texts["Alarms"]
    assert texts["Connections lost"] == ["connection reset"]
    assert texts["Reconnections"] == ["connected again after 9.0 s"]
    assert texts["Begun, not over yet"]
    assert set(texts["Begun, not over yet"]) <= {"hour", "shift", "day"}
    assert len(texts["Shift changes"]) >= 3 * 4  # three shifts of four machines in a day, and the ones cut by its ends


def test_a_day_with_other_hours_is_annotated(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """A day open for 16 h after one of 24 h is marked with -8; a day that is not over yet is not."""
    first_ns = day.start_ns // (86_400 * SECOND_NS) * 86_400 * SECOND_NS - 20 * 86_400 * SECOND_NS
    lines = [
        f"kpi,site=km0,area=a,line=l,asset=m,kpi=opening_time,window=day value={hours * 3600}.0,final={final} "
        f"{first_ns + n * 86_400 * SECOND_NS}"
        for n, (hours, final) in enumerate(((24, "true"), (16, "true"), (16, "true"), (2, "false")))
    ]
    urlopen(f"{day.server.url}/write?db={day.kpi_database}", "\n".join(lines).encode(), timeout=20).close()  # noqa: S310
    [target] = [one["target"] for one in english["machine"]["annotations"]["list"] if "Opening" in one["name"]]
    query = filled(target["query"], EVERYTHING, first_ns, first_ns + 5 * 86_400 * SECOND_NS, "1h")
    [series], _ = ask(day, target["datasource"]["uid"], query)
    rows = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
    assert [(row["time"], row["text"], row["asset"]) for row in rows] == [
        ((first_ns + 86_400 * SECOND_NS) // 1_000_000, -8, "m")
    ]


def test_variables_lead_down_the_path(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """Each level offers what lies below the choice above it."""
    offered = {}
    for variable in english["machine"]["templating"]["list"]:
        query = filled(variable["query"], EVERYTHING | {"line": "cell-1"}, day.start_ns, day.end_ns, "5m")
        series, _ = ask(day, variable["datasource"]["uid"], query)
        offered[variable["name"]] = sorted(row[1] for one in series for row in one["values"])
    assert offered["site"] == ["km0"]
    assert offered["line"] == ["cell-1", "cell-2", "print-hall"]
    assert offered["asset"] == ["lathe-1", "mill-1"]


def test_the_wall_says_the_same_trs_as_the_catalogue(day: Day, answers: list[Asked]) -> None:
    """The figure on the wall is the sum of useful time over the sum of required time of the hours themselves."""
    [tile] = [one for one in answers if one.panel.startswith("TRS today") and "'mill-1'" in one.query]
    statement = 'SELECT "numerator", "denominator" FROM "kpi" WHERE "kpi" = \'trs\' AND "window" = \'hour\''
    where = f'AND "asset" = \'mill-1\' AND "unknown" = 0 AND time >= {day.start_ns} AND time <= {day.end_ns}'
    [hours], _ = ask(day, "km0-kpis", f"{statement} {where}")
    useful = sum(row[1] for row in hours["values"])
    required = sum(row[2] for row in hours["values"])
    assert tile.series[0]["values"][0][1] == pytest.approx(useful / required)


def test_a_silent_machine_is_stale_and_not_zero(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """A machine that never spoke gives no row at all, and the tile's word for that is "stale"."""
    [tile] = [panel for panel in panels(english["wall"]) if panel["title"] == "Data"][:1]
    query = tile["targets"][0]["query"].replace("'mill-1'", "'mill-that-is-not'")
    series, _ = ask(day, "km0-samples", query)
    assert series == []
    assert tile["fieldConfig"]["defaults"]["noValue"] == "stale"


def test_one_machine_at_a_time(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """With one machine chosen, the machine board's rows are of it alone."""
    variables = EVERYTHING | MACHINE_WITH_POWER
    for one in asked(day, "machine", english["machine"], variables, "5m"):
        for series in one.series:
            assert series.get("tags", {}).get("asset", "press-1") == "press-1", one


def test_a_plant_without_links_or_targets_has_its_boards_too() -> None:
    """No asset at all is a plant as well: boards are made, and none judges anything."""
    assert set(boards(Plant(), "fr")) == {"wall", "machine", "losses", "shift", "network", "data_path", "energy"}


def test_every_alert_rule_has_a_figure_to_judge(day: Day) -> None:
    """Each rule's query, over the stretch it looks at, gives a figure per asset and path: the last hours of the day."""
    empty = []
    for rule in alerts.rules(day.plant, Texts("en")):
        query = filled(str(rule.select), {}, day.end_ns - rule.last_s * SECOND_NS, day.end_ns, "1m")
        series, _ = ask(day, rule.select.source.value, query)
        if not any(row[1] is not None for one in series for row in one["values"]):
            empty.append((rule.key, query))
        assert all(set(one["tags"]) == {"site", "area", "line", "asset"} for one in series), rule.key
    assert empty == []


def test_a_shift_in_progress_is_marked(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """In the table of shifts the newest of each machine, which ends after now, says so; those that ended do not."""
    [panel] = [one for one in panels(english["shift"]) if one["title"] == "Shifts"]
    [frame] = frames(day, panel, EVERYTHING, "1h")
    look = Fields(panel, day.plant.zone, day.end_ns, "en")
    marks = [(look.shown("final", row["final"])[0], float(row["end"] or 0)) for row in frame.rows]
    assert {word for word, _ in marks} == {"over", "in progress"}
    now_ms, settles_ms = day.end_ns / 1e6, 1000 * max(one.stale_after_s for one in day.plant.assets)
    for word, end_ms in marks:
        if not now_ms - settles_ms < end_ms <= now_ms:  # of one that has only just ended, figures may still change
            assert (word == "in progress") == (end_ms > now_ms)


def test_the_wall_says_since_when_and_why(day: Day, english: dict[str, dict[str, Any]]) -> None:
    """Beside the state of the press stand the instant of its last change and the last reason, as simulated."""
    press = next(path for path in MACHINES if path.endswith("press-1"))
    said = [one for one in events(day.plant, day.start_ns - HOUR_NS, day.end_ns) if one.asset == press]
    states = [one for one in said if one.metric == "state"]
    changes = [after.time_ns for before, after in pairwise(states) if before.value != after.value]
    reasons = [one.text for one in said if one.metric == "reason"]
    shown = list(panels(english["wall"]))
    place = next(n for n, one in enumerate(shown) if one["title"] == "Presse 1")
    [since], [why] = (frames(day, shown[place + n], EVERYTHING, "1h") for n in (1, 2))
    assert since.columns["Time"] == [changes[-1] // 1_000_000]
    assert why.columns["reason"] == [reasons[-1]]
