"""What every board has around its panels: variables down the ISA-95 path, links to the others, annotations, refresh."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as models

from dashboards.grafana.looks import colour
from dashboards.grafana.panels import Panel, source
from dashboards.grafana.queries import CHOSEN, IN_RANGE, PATH_TAGS, Select, Source, equals, name, one_of
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

TITLES: Final = {
    "wall": "Plant wall", "machine": "Machine", "losses": "Losses", "shift": "Shifts", "network": "5G network",
    "data_path": "Data path", "energy": "Energy",
}  # fmt: skip
"""Boards in the order of the questions: is it running? how well? what costs most? is the network the reason? …"""
TAG: Final = "km0"
_ABOUT: Final = {"network": "link", "data_path": "source"}
"""Whose assets a board's variables offer, where these are not machines."""
_LABELS: Final = {"site": "Site", "area": "Area", "line": "Line", "asset": "Asset"}


def uid(board: str, texts: Texts) -> str:
    """The address of a board in every Grafana: it never changes, so links and bookmarks stay."""
    return f"km0-{board.replace('_', '-')}-{texts.language}"


class _Question(Builder[Dataquery]):
    """The query of an annotation."""

    def __init__(self, select: Select, title: str, text: str) -> None:
        self._select, self._title, self._text = select, title, text

    def build(self) -> Dataquery:
        return runtime.UnknownDataquery(
            {
                "refId": "Anno",
                "datasource": {"type": "influxdb", "uid": self._select.source.value},
                "fromAnnotations": True,
                "limit": 100,
                "matchAny": False,
                "tags": [],
                "type": "dashboard",
                "query": str(self._select),
                "rawQuery": True,
                "resultFormat": "table",
                "textColumn": self._text,
                "titleColumn": self._title,
                "tagsColumn": "asset",
            }
        )


def board(
    key: str, plant: Plant, texts: Texts, panels: Iterable[Panel | str], *, says: str,
    since: tuple[str, str] = ("now-24h", "now"), one_asset: bool = False, refresh: str = "30s",
    extra: Sequence[builders.CustomVariable] = (), links: Sequence[builders.DashboardLink] = (),
) -> builders.Dashboard:  # fmt: skip
    """A board: `panels` in reading order, a string among them opens a row of that title. `one_asset`: show one at a
    time. What was chosen goes along to boards of the same kind of assets: a machine chosen on a board of links leaves
    that empty, for Grafana keeps a choice of an address that is none."""
    measurement = _about(key)
    made = builders.Dashboard(f"{plant.name} · {texts(TITLES[key])}").uid(uid(key, texts)).description(texts(says))
    made.tags([TAG, f"{TAG}-{texts.language}"]).timezone(plant.timezone).week_start("monday")
    made.time(*since).refresh(refresh).readonly().tooltip(models.DashboardCursorSync.CROSSHAIR)
    for level, tag in enumerate(PATH_TAGS):
        made.with_variable(_variable(tag, PATH_TAGS[:level], measurement, texts, one=one_asset and tag == "asset"))
    for variable in extra:
        made.with_variable(variable)
    for other, title in TITLES.items():
        if other != key:
            made.link(
                builders.DashboardLink(texts(title)).type(models.DashboardLinkType.LINK).icon("dashboard")
                .url(f"/d/{uid(other, texts)}").keep_time(True)
                .include_vars(_about(other) == measurement and other != "machine")  # that shows one, and never all
            )  # fmt: skip
    for link in links:
        made.link(link)
    for annotation in _annotations(texts):
        made.annotation(annotation)
    for panel in panels:
        if isinstance(panel, str):
            made.with_row(builders.Row(texts(panel)))
        else:
            made.with_panel(panel)
    return made


def _about(key: str) -> str:
    return _ABOUT.get(key, "machine")


def _variable(tag: str, above: Sequence[str], measurement: str, texts: Texts, *, one: bool) -> builders.QueryVariable:
    where = " AND ".join(CHOSEN[: len(above)])
    query = f"SHOW TAG VALUES FROM {name(measurement)} WITH KEY = {name(tag)}" + (f" WHERE {where}" if where else "")
    variable = builders.QueryVariable(tag).label(texts(_LABELS[tag])).datasource(source(Source.SAMPLES)).query(query)
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    if one:
        return variable.multi(False).include_all(False)
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def _annotations(texts: Texts) -> Iterable[builders.AnnotationQuery]:
    def one(title: str, css: str, select: Select, text: str, *, shown: bool) -> builders.AnnotationQuery:
        made = builders.AnnotationQuery().name(texts(title)).datasource(source(select.source)).enable(shown)
        return made.icon_color(colour(css)).target(_Question(select, "", text))

    def kpi(columns: dict[str, str], which: str, window: str, group: tuple[str, ...] = ()) -> Select:
        chosen = (equals("kpi", which), equals("window", window), *CHOSEN, IN_RANGE)
        return Select(Source.KPIS, columns, "kpi", chosen, group)

    def events(metric: str, measurement: str) -> Select:
        columns = {"text": name(f"{metric}_text"), "asset": name("asset")}
        return Select(Source.SAMPLES, columns, measurement, (*CHOSEN, IN_RANGE))

    yield one("Alarms", "alarm", events("alarm", "machine"), "text", shown=True)
    yield one("Connections lost", "fault", events("break", "source"), "text", shown=True)
    yield one("Reconnections", "accent", events("repair", "source"), "text", shown=True)
    shift = kpi({"text": name("window"), "known": name("coverage"), "asset": name("asset")}, "required_time", "shift")
    yield one("Shift changes", "soft", shift, "text", shown=False)
    begun = (equals("kpi", "required_time"), one_of("window", "hour", "shift", "day"), '"final" = false')
    unfinished = replace(shift, where=(*begun, *CHOSEN, IN_RANGE))
    yield one("Begun, not over yet", "accent", unfinished, "text", shown=True)
    steps = kpi({"step": 'difference("value")'}, "opening_time", "day", ("asset",))
    steps = steps.also('"final" = true')  # of a day that is not over, only a part is open yet
    hours = {"text": f"{name('step')} / 3600", "asset": name("asset")}
    changed = Select(Source.KPIS, hours, steps, ('"step" != 0',))
    yield one("Opening time changed [h]", "setup", changed, "text", shown=False)


def link_to(key: str, texts: Texts, variables: str) -> dict[str, object]:
    """A link on a value to another board that keeps the time range and takes an asset along."""
    title = f"{texts('Open board')}: {texts(TITLES[key])}"
    return {"title": title, "url": f"/d/{uid(key, texts)}?${{__url_time_range}}&{variables}", "targetBlank": False}


def variables_of(path: str) -> str:
    """The variables of a board's address that choose one asset."""
    site, *between, last = path.split("/")
    levels = {"site": site, "area": between[0] if between else "", "line": "/".join(between[1:]), "asset": last}
    return "&".join(f"var-{tag}={value}" for tag, value in levels.items() if value)
