"""The plant file's section for one OPC UA server."""

import difflib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from collectors.opcua.address import parse
from telemetry.config import Secret, Section, host_name
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS, MachineState
from telemetry.health import Health
from telemetry.plant import AssetPath, Plant
from telemetry.protocols import Collector


class OpcUaNode(Section):
    """One node and the metric it carries."""

    node: str = Field(description='the node by namespace URI: "nsu=URI;s=name" or "nsu=URI;i=number"')
    asset: AssetPath = Field(description="path of the asset it belongs to")
    metric: str = Field(description="name in the glossary")
    words: dict[str, str | float] = Field(
        {},
        description="what the server's words and codes stand for; for a state the names of MachineState: "
        '{ "RUN" = "EXECUTING", "4" = "SETUP", "*" = "NOT_AVAILABLE" }; "*" is for all not named',
    )
    scale: float = Field(1.0, description="the value is multiplied by it, to arrive at the glossary's unit")
    offset: float = Field(0.0, description="added after scaling [unit of the metric]")
    deadband: float = Field(
        0.0, ge=0, description="the server leaves out changes not larger than this [unit of the node]; 0: it sends all"
    )
    deadband_percent: float = Field(
        0.0, ge=0, le=100, description="the same [%] of the node's EURange, for nodes that have one; 0: it sends all"
    )
    silence_s: float | None = Field(
        None, gt=0, description="without a value for so long [s] the node is said to be silent; none: it may be"
    )

    @field_validator("node")
    @classmethod
    def _an_address(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("metric")
    @classmethod
    def _in_the_glossary(cls, value: str) -> str:
        if value not in METRICS:
            close = difflib.get_close_matches(value, METRICS, n=1)
            raise ValueError(f"{value!r} is not in the glossary" + (f"; did you mean {close[0]!r}?" if close else ""))
        return value

    @field_validator("words")
    @classmethod
    def _words_fit(cls, value: dict[str, str | float], info: ValidationInfo) -> dict[str, str | float]:
        metric = METRICS.get(info.data.get("metric", ""))
        for word, meaning in value.items():
            if metric is None or metric.kind == "word":
                continue
            if isinstance(meaning, str) and not (metric.name == "state" and meaning in MachineState.__members__):
                known = ", ".join(MachineState.__members__) if metric.name == "state" else "a number"
                raise ValueError(f"{word!r} = {meaning!r}: {metric.name} takes {known}")
        return value

    @model_validator(mode="after")
    def _one_deadband(self) -> "OpcUaNode":
        if self.deadband and self.deadband_percent:
            raise ValueError("deadband and deadband_percent: a server applies one of them, give one")
        return self


class OpcUaMachine(Section):
    """A machine that conforms to a companion specification: it is browsed, no list of nodes is needed."""

    asset: AssetPath = Field(description="path of the asset it is")
    machine: str = Field(
        "", description="its name on the server, or its node; not needed where the server has one machine alone"
    )


class OpcUaConfig(Section):
    """[[collectors]] kind = "opcua": one OPC UA server and the nodes that are followed on it."""

    kind: Literal["opcua"] = Field(description="an OPC UA server")
    name: str = Field(description="what people call this source; names its health and its dead letters")
    url: str = Field(pattern=r"^opc\.tcp://[^\s]+$", description='"opc.tcp://host:port/path"')
    security: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = Field(
        "Basic256Sha256", description='security policy; "None" (nothing signed, nothing secret) only when asked for'
    )
    mode: Literal["SignAndEncrypt", "Sign"] = Field(
        "SignAndEncrypt", description="of messages, unless security is None"
    )
    certificates: Path = Field(
        Path(".km0/opcua"),
        description="folder of our own certificate and key, made on first use (own.der is what the server must trust), "
        "and of the servers' certificates: trusted/ and rejected/, see km0 opcua trust",
    )
    server_certificate: Path | None = Field(
        None, description="the server's certificate (.der or .pem), the only one accepted; else those that are trusted"
    )
    user: str | None = Field(None, description="user name; without one the session is anonymous")
    password: Secret | None = Field(None, description="password of that user")
    user_certificate: Path | None = Field(None, description="certificate (.der or .pem) of a user, instead of a name")
    user_key: Path | None = Field(None, description="private key (.pem) of that user")
    publishing_ms: float = Field(500.0, ge=10, le=60_000, description="asked-for interval between notifications [ms]")
    sampling_ms: float = Field(
        100.0, ge=0, le=3_600_000, description="asked-for sampling interval [ms]; 0: as fast as the server can"
    )
    keepalive_ms: float = Field(
        3_000.0, ge=100, le=600_000, description="after three such times [ms] without a sign of life we connect again"
    )
    lifetime_ms: float = Field(
        300_000.0,
        ge=1_000,
        le=86_400_000,
        description="how long [ms] the server keeps values for us when we are silent",
    )
    queue_size: int = Field(
        10_000, ge=1, le=1_000_000, description="values per node that the server is asked to hold; it may grant fewer"
    )
    discard: Literal["oldest", "newest"] = Field("oldest", description="what the server drops when its queue is full")
    report: Literal["time", "value"] = Field(
        "time",
        description='"time": every value with a new source time, repeated values too; '
        '"value": changes only, for servers that stamp each sampling anew',
    )
    history_s: float = Field(
        0.0, ge=0, le=1e9, description="at the first connection, read so much of the server's own history [s]"
    )
    progress: Path | None = Field(
        None,
        description="file that remembers how far we got: after a restart of ours the server's history is read from "
        "there on, and what it does not keep is unknown; without one a restart leaves its hole unsaid",
    )
    online_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="how often [s] the samples tell that the connection stands, so that a machine at rest is not taken "
        "for one that nobody hears; 0: never, nor when it breaks",
    )
    timeout_ms: float = Field(4_000.0, ge=100, le=120_000, description="longest wait for an answer [ms]")
    machines: tuple[OpcUaMachine, ...] = Field(
        (), description="machines of Machinery, MachineTool or PackML, found by browsing: km0 discover opcua URL"
    )
    browse_s: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="how often [s] machines are browsed again, for the jobs and tools that they have come to have; at "
        "once where the server tells of them (model change events); 0: only when a session begins",
    )
    nodes: tuple[OpcUaNode, ...] = Field((), description="nodes that are followed besides, or instead")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            reachable = parts.port != 0 and bool(host_name(parts.hostname or ""))
        except ValueError:  # a bracket too few, a port beyond 65535, a name that is none
            reachable = False
        if not reachable:
            raise ValueError(f'{value!r} is no address of a server: write "opc.tcp://host:port/path"')
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "OpcUaConfig":
        if not self.nodes and not self.machines:
            raise ValueError("nothing to follow: give nodes, or machines (km0 discover opcua URL finds them)")
        if self.password is not None and self.user is None:
            raise ValueError("a password needs a user")
        if (self.user_certificate is None) != (self.user_key is None):
            raise ValueError("user_certificate and user_key belong together: give both")
        if self.user is not None and self.user_certificate is not None:
            raise ValueError("a user has a password or a certificate: give user, or user_certificate")
        if self.user_certificate is not None and self.security == "None":
            raise ValueError("a user's certificate proves nothing without security: choose a policy")
        if self.lifetime_ms < 3 * self.keepalive_ms:
            raise ValueError("lifetime_ms must be at least three times keepalive_ms (OPC 10000-4, 5.14.2)")
        pairs = [(node.asset, node.metric) for node in self.nodes]
        for asset, metric in pairs:
            if pairs.count((asset, metric)) > 1:
                raise ValueError(f"{metric} of {asset} comes from two nodes; their samples would overwrite one another")
        assets = [machine.asset for machine in self.machines]
        for asset in assets:
            if assets.count(asset) > 1:
                raise ValueError(f"two machines are {asset}; their samples would overwrite one another")
        return self

    def build(self, plant: Plant, health: Health) -> Collector:
        """The collector. Raises ConfigError for an unknown asset, a secret not there, asyncua not installed."""
        wanted = [(f"node {node.node!r}", node.asset) for node in self.nodes]
        wanted += [(f"machine {machine.machine!r}", machine.asset) for machine in self.machines]
        for what, path in wanted:
            if path not in plant:
                close = difflib.get_close_matches(path, [asset.path for asset in plant.assets], n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ConfigError(f"collector {self.name!r}, {what}: unknown asset {path!r}{hint}")
        password = self.password.read() if self.password is not None else None
        try:
            from collectors.opcua.collector import OpcUaCollector  # asyncua only where it is used
        except ImportError as error:
            raise ConfigError(
                f"collector {self.name!r}: OPC UA is not installed ({error.name}): pip install 'km0-telemetry[opcua]'"
            ) from error
        return OpcUaCollector(self, plant, health.component(self.name), password=password)
