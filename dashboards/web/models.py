"""What the API answers, as models: the same objects feed the page, so the two cannot disagree.

A figure that is not known is null, never 0 and never NaN.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from dashboards.web.times import Instant

PATH = "km0/fabrication/cell-1/mill-1"
TRS: dict[str, JsonValue] = {
    "kpi": "trs",
    "kind": "day",
    "start": "2026-11-21T23:00:00.000000000Z",
    "end": "2026-11-22T23:00:00.000000000Z",
    "value": 0.742,
    "unit": "",
    "numerator": 13356.0,
    "denominator": 18000.0,
    "coverage": 0.987,
    "samples": 412,
    "final": False,
    "reference": "NF E60-182 TRS; ISO 22400-2 OEE index",
}


class Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class AssetOut(Model):
    """One machine, link or platform of the plant."""

    path: str = Field(description="ISA-95 path", examples=[PATH])
    name: str = Field(examples=["Fraiseuse 1"])
    kind: Literal["machine", "link", "platform"]
    calendar: str | None = Field(description="name of its calendar; null: it should work always")
    cycle_s: dict[str, float] = Field(description="reference cycle time tCR [s] per product", examples=[{"gear": 42.0}])
    target_trs: float | None = Field(description="target TRS, 0 to 1", examples=[0.75])
    stale_after_s: float = Field(description="without a sample for so long [s], its state is unknown", examples=[900.0])
    micro_stop_s: float = Field(description="stops shorter than this [s] are micro-stops", examples=[120.0])
    hourly_cost: float | None = Field(description="cost of one lost hour [€]", examples=[85.0])
    use_case: str | None = Field(description="of a link: the application of TS 22.104 it is to carry")


class TurnOut(Model):
    """A shift or a break, by the wall clock of the plant."""

    name: str
    start: str = Field(examples=["21:00"])
    end: str = Field(examples=["05:00"], description="before `start`: on the next day")
    days: list[str] = Field(description="on which it starts")


class CalendarOut(Model):
    name: str
    shifts: list[TurnOut]
    breaks: list[TurnOut] = Field(description="planned stops: inside tO, outside tR")
    holidays: list[str] = Field(description="dates on which no shift starts")


class PlantOut(Model):
    """The plant as its file says."""

    name: str
    timezone: str = Field(description="shifts and days are cut in it", examples=["Europe/Paris"])
    calendars: list[CalendarOut]
    version: str = Field(description="of the app")


class UseCaseOut(Model):
    """What an application asks of a link: a row of 3GPP TS 22.104."""

    key: str = Field(examples=["mobile-robots"])
    name: str
    name_fr: str
    table: str
    availability: float
    latency_ms: float
    interval_ms: float | None
    survival_ms: float | None
    message_bytes: int | None
    mtbf: str
    verified: bool = Field(description="the figures were read in the standard itself")


class MeOut(Model):
    """Who asks."""

    name: str = Field(description='"" where there are no accounts')
    organisation: str
    role: Literal["viewer", "engineer", "administrator"]
    owns_plant: bool = Field(description="false: another organisation's plant is not shown")
    scopes: list[str] | None = Field(description="of a token; null for a person")


class StateOut(Model):
    """A stretch in one state."""

    state: str = Field(description="a MachineState, or UNKNOWN", examples=["EXECUTING"])
    start: Instant
    end: Instant
    reason: str = Field(description='"" when none was given')


class StatesOut(Model):
    """In time order; the first may begin before the interval, `next` continues."""

    asset: str
    states: list[StateOut]
    truncated: bool
    next: str | None


class SeriesOut(Model):
    """What the store holds of one metric of an asset."""

    metric: str = Field(examples=["state"])
    unit: str
    samples: int = Field(description="distinct instants", examples=[412])
    first: Instant
    last: Instant


class AssetDetail(AssetOut):
    series: list[SeriesOut]


class MetricOut(Model):
    """One row of the glossary."""

    name: str = Field(examples=["parts_good"])
    unit: str = Field(examples=["part"])
    kind: Literal["state", "counter", "gauge", "word", "event"]
    holds: bool = Field(description="a value is in force until the next one")
    meaning: str
    meaning_fr: str


class KpiOut(Model):
    """One row of the KPI catalogue."""

    name: str = Field(examples=["trs"])
    unit: str = Field(description='"" for a ratio of 0 to 1', examples=[""])
    reference: str = Field(description="the standard it follows", examples=["NF E60-182 TRS; ISO 22400-2 OEE index"])
    meaning: str
    name_fr: str = Field(description="what it is called in French", examples=["taux de rendement synthétique"])
    meaning_fr: str
    reference_fr: str


class SampleOut(Model):
    """One value at the instant its source says it was true."""

    time: Instant
    value: float | None = Field(description="null for a metric that is a word", examples=[3.0])
    text: str | None = Field(description="the word; for a state, its name", examples=["EXECUTING"])
    quality: Literal["good", "uncertain", "bad"] = Field(description="bad: from here on it is not known")


class SamplesOut(Model):
    """Samples of one series, bounded. `truncated`: there are more; `next` is the address that continues."""

    asset: str = Field(examples=[PATH])
    metric: str = Field(examples=["state"])
    unit: str
    start: Instant
    end: Instant
    in_force: SampleOut | None = Field(description="for a metric that holds: the sample in force at `start`")
    samples: list[SampleOut]
    truncated: bool
    next: str | None = Field(examples=["/api/v1/samples?asset=…&metric=state&from=2026-11-22T03:49:57.123000001Z"])


class Figure(Model):
    """One KPI value with what it rests on. Ratios are added by numerator and denominator, never averaged."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [TRS]})
    kpi: str
    kind: str = Field(description='"hour", "shift", "day", …')
    start: Instant
    end: Instant
    value: float | None = Field(description="null when nothing is known")
    unit: str
    numerator: float | None
    denominator: float | None = Field(description="0 for a figure that is no ratio")
    coverage: float = Field(description="share [0…1] of the window whose input is known")
    samples: int = Field(description="how many samples it rests on")
    final: bool = Field(description="false while its window is open")
    reference: str


class FiguresOut(Model):
    """KPI values in time order, bounded; `next` continues."""

    asset: str = Field(examples=[PATH])
    kpi: str = Field(examples=["trs"])
    values: list[Figure]
    truncated: bool
    next: str | None


class ComponentOut(Model):
    """How one running thing is."""

    name: str = Field(examples=["drain"])
    condition: Literal["starting", "ok", "failing"]
    since: Instant
    detail: str
    lost: int = Field(description="what this component, a source say, lost for good since its start")
    counts: dict[str, int] = Field(examples=[{"samples": 120000}])
    gauges: dict[str, float | None] = Field(examples=[{"lag_ms": 12.5}])


class HealthOut(Model):
    """`ok` when no component is failing."""

    ok: bool
    components: list[ComponentOut]


class DeadLetterOut(Model):
    """A message set aside. `raw` is shown as text with escapes, cut; nothing in it is trusted."""

    id: int
    at: Instant
    source: str = Field(examples=["mqtt: km0/fabrication/cell-2/press-1/parts"])
    reason: str = Field(examples=["value is not a number: 'abc'"])
    raw: str
    bytes: int = Field(description="length of the whole message")


class DeadLettersOut(Model):
    count: int
    letters: list[DeadLetterOut] = Field(description="newest first")
    truncated: bool
    next: str | None


class StateNow(Model):
    """What a machine does. `known` is false when nothing was said for too long, or a source said it does not know."""

    name: str = Field(description="a MachineState, or UNKNOWN", examples=["EXECUTING"])
    known: bool
    since: Instant | None = Field(description="since when, by the source's clock")
    reason: str | None
    product: str | None


class FactorsNow(Model):
    """TRS and its factors over one window; null where no value was computed."""

    label: str = Field(description="name of the shift, or of the day", examples=["matin"])
    start: Instant
    end: Instant
    trs: Figure | None
    do: Figure | None
    tp: Figure | None
    tq: Figure | None
    parts: float | None = Field(description="parts produced in the window (NPR)")
    parts_good: float | None = Field(description="good parts in the window (NPB)")


class MachineNow(Model):
    asset: str = Field(examples=[PATH])
    name: str
    state: StateNow
    stale: bool = Field(description="no sample for longer than the asset's stale_after_s")
    last_sample: Instant | None
    target_trs: float | None
    today: FactorsNow
    shift: FactorsNow | None = Field(description="null outside shifts")


class LinkWindow(Model):
    """Round trips over a recent window; null without probes, or without enough of them for the percentile."""

    minutes: int
    p50_ms: float | None = Field(description="a lost probe counts as infinitely late (RFC 7679)")
    p99_ms: float | None = Field(
        description="null too when more than 1 % of the probes were lost, or fewer than 299 sent"
    )
    jitter_ms: float | None = Field(description="interarrival jitter, RFC 3550")
    loss: float | None = Field(description="lost ÷ sent, RFC 7680", examples=[0.0004])
    answered: int
    lost: int


class RadioNow(Model):
    metric: str = Field(examples=["rsrp"])
    unit: str
    value: float | None
    text: str | None
    time: Instant


class LinkNow(Model):
    asset: str
    name: str
    stale: bool
    last_sample: Instant | None
    rtt_ms: float | None = Field(description="the last round trip")
    recent: LinkWindow
    hour: LinkWindow
    radio: list[RadioNow]


class PathNow(Model):
    """The data path."""

    stored: int | None = Field(description="distinct samples in the store")
    lag_ms: float | None = Field(description="source time to stored, last batch")
    waiting: int | None = Field(description="batches in the spool")
    lost: int = Field(
        description="dead letters dropped for lack of room, and gaps that a source's history could not fill"
    )
    dead_letters: int
    components: int
    failing: list[str]


class PlantNow(Model):
    """The plant at one instant."""

    time: Instant
    plant: str
    timezone: str
    machines: list[MachineNow]
    links: list[LinkNow]
    path: PathNow
