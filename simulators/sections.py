"""What a scenario file says of one simulated asset. To add a kind, write its section and name it in `simulators`.

A section is turned into the process it describes (`model`) and says how the asset speaks (`kind`). It knows nothing of
sockets: those are in simulators.plant.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from simulators import packml
from simulators.link import LinkModel
from simulators.machine import Duration, Gauge, Hazard, Loss, MachineModel, Product
from simulators.radio_network import RadioNetworkModel
from simulators.speeches import NO_WORD, TELLS
from simulators.vehicle import VehicleModel
from simulators.work_calendar import WorkCalendar
from telemetry.config import Section
from telemetry.glossary import METRICS, MachineState
from telemetry.plant import AssetPath

StateName = Literal[
    "NOT_AVAILABLE", "OUT_OF_SERVICE", "NOT_EXECUTING", "SETUP", "STARVED", "BLOCKED", "MAINTENANCE"
]  # fmt: skip
"""The states of the glossary in which a machine does not execute."""

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]


class Lasts(Section):
    """How long something lasts: log-normal, cut to limits."""

    lasts_s: Seconds = Field(description="median duration [s]")
    spread: float = Field(0.5, ge=0, le=3, description="sigma of its logarithm: 0.5 makes two thirds ÷1.6 to ×1.6")
    shortest_s: Seconds = Field(1.0, description="never shorter [s]")
    longest_s: Seconds = Field(8 * 3600.0, description="never longer [s]")

    @property
    def duration(self) -> Duration:
        return Duration(self.lasts_s, self.spread, self.shortest_s, self.longest_s)


class Stop(Lasts):
    """Something that stops the machine now and then: breakdown, micro-stop, missing material …"""

    reason: str = Field(min_length=1, description="what the machine says it is; an operator's words")
    state: StateName = Field(description="the state it is in meanwhile")
    every_s: Seconds = Field(description="how much execution [s] lies between two (scale of a Weibull time)")
    wear: float = Field(1.0, gt=0, le=20, description="Weibull shape: 1 strikes without memory, above 1 by wear")
    spoils: Share = Field(0.0, description="how likely it spoils the part in work")
    loss: Loss | None = Field(
        None, description="what NF E60-182 calls this loss; by its state unless given. Short ones become micro-stops"
    )

    @property
    def hazard(self) -> Hazard:
        state = MachineState[self.state]
        return Hazard(self.reason, state, self.every_s, self.duration, self.wear, self.spoils, self.loss)


class Made(Section):
    """A product."""

    name: str = Field(min_length=1, description="its name, as the machine says it")
    cycle_s: Seconds = Field(description="reference cycle time tCR [s], as the plant file has it")
    batch: tuple[int, int] = Field(description="fewest and most parts of an order: [20, 50]")
    slowness: float = Field(1.0, gt=0, description="true cycle ÷ reference cycle; below 1 the reference is too slow")
    scrap: Share = Field(0.0, description="how likely a part is bad")

    @field_validator("batch")
    @classmethod
    def _in_order(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1]:
            raise ValueError(f"an order has at least one part, and fewest before most: not {list(value)}")
        return value

    @property
    def product(self) -> Product:
        return Product(self.name, self.cycle_s, self.batch, self.slowness, self.scrap)


class Meter(Section):
    """A measurement taken again and again."""

    metric: str = Field(description="name in the glossary, a gauge: power, spindle_load …")
    every_s: Seconds = Field(30.0, description="how often [s]")
    levels: dict[StateName | Literal["EXECUTING"], tuple[float, float]] = Field(
        description="mean and standard deviation by state, [46.0, 9.0]; in other states it reads 0"
    )
    energy: bool = Field(False, description="a power meter that counts energy, too [Wh]")

    @field_validator("metric")
    @classmethod
    def _a_gauge(cls, value: str) -> str:
        if value not in METRICS or METRICS[value].kind != "gauge":
            raise ValueError(f"{value!r} is no gauge of the glossary (km0 glossary)")
        return value

    @property
    def gauge(self) -> Gauge:
        levels = {MachineState[name]: level for name, level in self.levels.items()}
        return Gauge(self.metric, self.every_s, levels, self.energy)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it tells, by name in the glossary."""
        return (self.metric, "energy") if self.energy else (self.metric,)

    @model_validator(mode="after")
    def _energy_of_power(self) -> "Meter":
        if self.energy and self.metric != "power":
            raise ValueError(f"energy is counted by a meter of power, not of {self.metric}")
        return self


class _Machine(Section):
    """A machine, however it speaks."""

    path: AssetPath = Field(description="ISA-95 path")
    name: str = Field("", description="what people call it")
    calendar: str = Field(description="name of its calendar")
    products: tuple[Made, ...] = Field(min_length=1, description="what it makes, one order after another")
    stops: tuple[Stop, ...] = Field((), description="what stops it")
    changeover: Lasts = Field(Lasts(lasts_s=1200.0), description="how long it is set up between two orders")
    meter: Meter = Field(description="what it measures beside its state and counters")
    slow_orders: Share = Field(0.0, description="how much slower an order may run, at most")
    jitter: Share = Field(0.01, description="standard deviation of a cycle, as a share of it")
    micro_stop_s: float = Field(120.0, ge=0, description="stops shorter than this [s] are micro-stops")
    takes_from: AssetPath | None = Field(
        None, description="the machine whose good parts this one works on, one for one: without any it is STARVED"
    )
    buffer: int = Field(
        20, ge=1, description="room between `takes_from` and this one [parts]: when it is full, that one is BLOCKED"
    )

    counter_rolls_at: int | None = Field(
        None, ge=10, description="its counters never show this count and begin again at 0, as 65536 in 16 bits"
    )
    orders: bool = Field(
        False, description="it names the order that it works on, a new one with each product; machine tools do anyway"
    )
    reasons_late_s: float = Field(
        0.0, ge=0, le=86_400, description="an operator enters the reason of a stop so long after it [s]; kind mqtt"
    )

    @model_validator(mode="after")
    def _tell_apart(self) -> "_Machine":
        for what, names in (("product", [p.name for p in self.products]), ("stop", [s.reason for s in self.stops])):
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{what} {min(twice)!r} is there twice")
        if self.reasons_late_s and not isinstance(self, MqttMachine):
            raise ValueError("reasons_late_s is for machines of kind mqtt")
        if self.counter_rolls_at and getattr(self, "speaks", "") == "machine-tool":
            raise ValueError("counter_rolls_at: the jobs of a machine tool count from 0 anyway")
        if self.orders and (isinstance(self, Printer) or getattr(self, "speaks", "") == "machine-tool"):
            raise ValueError(
                "orders: a printer's report has no place for them, and a machine tool names its jobs anyway"
            )
        if self.meter.energy and isinstance(self, Printer):
            raise ValueError("a printer's report has no place for energy")
        if self.takes_from == self.path:
            raise ValueError("a machine cannot work on its own parts")
        return self

    def model(self, calendar: WorkCalendar) -> MachineModel:
        """The process."""
        return MachineModel(
            self.path,
            tuple(made.product for made in self.products),
            tuple(stop.hazard for stop in self.stops),
            self.changeover.duration,
            self.meter.gauge,
            calendar,
            self.slow_orders,
            self.jitter,
            micro_stop_s=self.micro_stop_s,
            takes_from=self.takes_from,
            buffer=self.buffer,
            tells_reasons=not isinstance(self, Printer),
            merges=self._merges,
            rolls_over_at=self.counter_rolls_at,
            tells_orders=self.orders,
            counts_scrap=isinstance(self, SparkplugMachine) or getattr(self, "speaks", "") == "packml",
        )

    @property
    def _merges(self) -> Mapping[MachineState, MachineState]:
        return {}

    @property
    def _order(self) -> tuple[str, ...]:
        return ("order",) if self.orders else ()


class OpcUaMachine(_Machine):
    """A machine behind the scenario's OPC UA server: nodes `nsu=urn:km0:simulators:machine;s=<path>/<metric>`, or a
    companion specification's address space."""

    kind: Literal["opcua"]
    speaks: Literal["plain", "machine-tool", "packml"] = Field(
        "plain", description="how it shows itself: a folder of variables, OPC 40501-1 (machine tool), or PackML"
    )

    @property
    def _merges(self) -> Mapping[MachineState, MachineState]:
        return NO_WORD.get(self.speaks, {})

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it tells, by name in the glossary."""
        told = TELLS.get(self.speaks, ("state", "parts", "parts_good"))
        return (*told, "reason", "product", *self._order, *self.meter.metrics)


class OpcUaServer(Section):
    """How strict the scenario's OPC UA server is."""

    secure: bool = Field(False, description="speak only what is signed, or signed and encrypted; with a certificate")
    most_per_call: int = Field(
        0, ge=0, description="nodes that one request may read, browse or follow; more is refused; 0: any number"
    )
    most_queued: int = Field(10_000, ge=10, le=1_000_000, description="values that it queues for a client, per node")


class MqttMachine(_Machine):
    """A machine that speaks MQTT, one value per topic: `<path>/<metric>` {"value", "time", "quality"?}."""

    kind: Literal["mqtt"]


class Printer(_Machine):
    """A machine that speaks MQTT in whole reports, `printers/<name>/report`, and has no words for reasons."""

    kind: Literal["printer"]


class SparkplugMachine(_Machine):
    """A machine of a packaging line that speaks PackML over Sparkplug B: a device of its line's edge node."""

    kind: Literal["sparkplug"]

    @property
    def _merges(self) -> Mapping[MachineState, MachineState]:
        return packml.ONE_WORD

    @property
    def group(self) -> str:
        """The Sparkplug group: its line."""
        return self.path.rpartition("/")[0].replace("/", ".")

    @property
    def device(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it tells, by name in the glossary."""
        return ("state", "reason", "product", *self._order, "parts", "parts_scrap", *self.meter.metrics)


class Link(Section):
    """A 5G link as its router tells it, over MQTT, one value per topic: radio figures and its own probes."""

    kind: Literal["link"]
    path: AssetPath = Field(description="ISA-95 path")
    name: str = Field("", description="what people call it")
    radio_s: Seconds = Field(10.0, description="how often radio figures are told [s]")
    probe_s: Seconds = Field(5.0, description="how often the router probes [s]")
    floor_ms: Seconds = Field(8.5, description="shortest round trip [ms]")
    cells: tuple[str, ...] = Field(
        ("gnb-1/cell-2", "gnb-1/cell-3"), min_length=1, description="cells that may serve it"
    )
    fading_db: float = Field(
        1.1, gt=0, le=20, description="how much the radio wanders from one figure to the next [dB]"
    )
    handover: Share = Field(0.15, description="how likely a bad radio changes the cell, at each figure")
    handover_loss: Share = Field(0.0, description="how likely a probe is lost in the five seconds after a handover")

    @property
    def model(self) -> LinkModel:
        """The process."""
        return LinkModel(
            self.path, self.radio_s, self.probe_s, self.floor_ms, self.cells,
            self.fading_db, self.handover, self.handover_loss,
        )  # fmt: skip


Point = tuple[float, float]


class Vehicle(Section):
    """An autonomous vehicle on 5G, over MQTT, one value per topic: position, mission, battery, and its radio."""

    kind: Literal["vehicle"]
    path: AssetPath = Field(description="ISA-95 path")
    name: str = Field("", description="what people call it")
    stations: tuple[Point, ...] = Field(
        min_length=2, description="where it drives between, [east, north] [m]; it charges at the first"
    )
    antennas: tuple[Point, ...] = Field(min_length=1, description="where the cells' antennas are, [east, north] [m]")
    speed: float = Field(1.4, gt=0, le=30, description="how fast it drives [m/s]")
    loads_s: Seconds = Field(45.0, description="how long it loads at a station [s]")
    every_s: Seconds = Field(2.0, description="how often it reports [s]")

    @property
    def model(self) -> VehicleModel:
        """The process."""
        return VehicleModel(self.path, self.stations, self.antennas, self.speed, self.loads_s, self.every_s)


class RadioNetwork(Section):
    """A gNB or a 5G core that tells of itself, over MQTT, one value per topic: devices, load, sessions."""

    kind: Literal["gnb", "core"]
    path: AssetPath = Field(description="ISA-95 path")
    name: str = Field("", description="what people call it")
    devices: int = Field(40, ge=1, le=100_000, description="devices that there are")
    every_s: Seconds = Field(30.0, description="how often it reports [s]")

    @property
    def model(self) -> RadioNetworkModel:
        """The process."""
        return RadioNetworkModel(self.path, self.kind == "core", self.devices, self.every_s)
