"""What the simulated plant is told to be: the JSON file that `python -m simulators` is started with."""

import difflib
from pathlib import Path

from pydantic import Field, ValidationError, field_validator, model_validator

from simulators import SimulatedAsset
from simulators.demo import DEMONSTRATOR
from simulators.scenario import Scenario
from telemetry.config import Secret, Section
from telemetry.errors import ConfigError
from telemetry.plant import AssetPath


class MqttSpec(Section):
    """The broker that the MQTT devices, the router and the replay publish to."""

    host: str = Field("127.0.0.1", description="name or address of the broker")
    port: int = Field(ge=1, le=65535, description="port of the broker")
    username: str | None = Field(None, description="user name at the broker")
    password: Secret | None = Field(None, description="where the password of that user is kept")
    ca: Path | None = Field(None, description="PEM file of the authority that signed its certificate; with it, TLS")
    sparkplug_host: str | None = Field(
        None,
        description="primary host application that Sparkplug edge nodes wait for, with {group}; none: for nobody",
    )

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password. Raises ConfigError when the password cannot be had."""
        return None if self.username is None else (self.username, self.password.read() if self.password else "")


class OpcUaSpec(Section):
    """The OPC UA server of the machines that speak it."""

    port: int = Field(0, ge=0, le=65535, description="port on 127.0.0.1; 0: a free one, told in the `ready` event")
    await_client_s: float = Field(
        0.0,
        ge=0,
        description="at `play`, wait so long [s] until a client monitors every variable; an error if none does",
    )
    certificates: Path = Field(
        Path("."), description="folder of its certificate and key, made on first use where the scenario wants security"
    )


class UdpSpec(Section):
    """The live 5G link: a UDP relay with delay, jitter and loss, and the reflector at its far end."""

    port: int = Field(0, ge=0, le=65535, description="port on 127.0.0.1 that probes are sent to; 0: a free one")
    reflector_port: int = Field(0, ge=0, le=65535, description="port of the reflector behind the relay; 0: a free one")


class ReplaySpec(Section):
    """A recorded machine, published in format A before the history is played."""

    path: Path = Field(description="MTConnect SHDR file")
    asset: AssetPath = Field("km0/replay/okuma/multus-u3000", description="the asset it is published as")
    ends_at_ns: int | None = Field(
        None, description="the recording is moved so that its last sample is at this instant [ns]; else its own times"
    )


class Spec(Section):
    """One run of the plant. The same seed and epoch give the same lives, whenever and however often they are played."""

    scenario: Scenario = Field(DEMONSTRATOR, description="the plant; its own seed, start and hours are not used here")
    seed: int = Field(description="all chance comes from it")
    epoch_ns: int = Field(gt=0, description="when the lives of the machines began [ns since 1970], whole milliseconds")
    resume_from_ns: int | None = Field(
        None, description="nothing before this instant [ns] is published (it was, in an earlier run); else the epoch"
    )
    until_ns: int | None = Field(
        None,
        description="the past ends at this instant [ns] and there is no present; else it ends now and goes on live",
    )
    speed: float = Field(0.0, ge=0, description="how fast the past is played [plant s per s]; 0: as fast as it goes")
    assets: tuple[AssetPath, ...] | None = Field(None, description="which assets take part; unless given, all")
    mqtt: MqttSpec | None = Field(None, description="needed by the assets that speak MQTT, and by a replay")
    opcua: OpcUaSpec | None = Field(None, description="needed by the assets that speak OPC UA")
    link: UdpSpec | None = Field(
        None, description="the live link; with it the router's own `rtt` ends where live begins, for a probe takes over"
    )
    replay: ReplaySpec | None = Field(None, description="a recorded machine to play")
    journal: Path | None = Field(None, description="file that every published identity is appended to")
    disturbances: Path | None = Field(
        None, description="file for what faults did to the messages, written when the past is played"
    )
    truth: Path | None = Field(
        None, description="file for the truth of this run, written when live begins and at the end"
    )

    @field_validator("epoch_ns")
    @classmethod
    def _whole_milliseconds(cls, value: int) -> int:
        if value % 1_000_000:
            raise ValueError(f"{value} ns is no whole millisecond; the machines' clocks have no finer ticks")
        return value

    @model_validator(mode="after")
    def _wired(self) -> "Spec":
        there = [asset.path for asset in self.scenario.assets]
        for path in self.assets or ():
            if path not in there:
                close = difflib.get_close_matches(path, there, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(there)}"
                raise ValueError(f"no simulated asset {path!r}{hint}")
        if self.until_ns is None and 0 < self.speed <= 1:
            raise ValueError(f"at a speed of {self.speed:g} the past never reaches the present: above 1, or 0")
        if self.resume_from_ns is not None and self.resume_from_ns < self.epoch_ns:
            raise ValueError("resume_from_ns is before epoch_ns: the machines were not born yet")
        kinds = {asset.kind for asset in self.played}
        if "opcua" in kinds and self.opcua is None:
            raise ValueError("these assets speak OPC UA: `opcua` is needed")
        if self.mqtt is None and (kinds - {"opcua"} or self.replay is not None):
            raise ValueError("these assets speak MQTT: `mqtt` is needed, with the port of the broker")
        return self

    @property
    def played(self) -> "tuple[SimulatedAsset, ...]":
        """The assets that take part."""
        return tuple(a for a in self.scenario.assets if self.assets is None or a.path in self.assets)

    @property
    def starts_at_ns(self) -> int:
        """The first instant that is published [ns]."""
        return self.epoch_ns if self.resume_from_ns is None else self.resume_from_ns


def load_spec(path: Path) -> Spec:
    """The spec in a JSON file. Raises ConfigError with a sentence for each fault."""
    try:
        return Spec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: the spec of the simulated plant is expected there") from error
    except ValidationError as error:
        faults = [
            f"{path}: {'.'.join(str(part) for part in fault['loc']) or 'spec'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(faults)) from error
