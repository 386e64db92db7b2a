"""The plant file's side of the Sparkplug dialect: it needs no protobuf, so a plant without Sparkplug needs none."""

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from collectors.mqtt.mapping import MetricName, ValueRules
from collectors.mqtt.topics import Topic, TopicTemplate, parts_of
from telemetry.errors import ConfigError

if TYPE_CHECKING:
    from collectors.mqtt.sparkplug import SparkplugHost

SparkplugId = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^+/#\x00]+$")]


class SparkplugTopic(ValueRules):
    """An entry of `topics` that makes the collector a Sparkplug B host application; it needs a collector of its own."""

    dialect: Literal["sparkplug"]
    host_id: SparkplugId = Field(description="our identity for the edge nodes: STATE is published under it")
    topic: Topic = Field("spBv1.0/#", description='which groups: "spBv1.0/#", or one group: "spBv1.0/Plant1/#"')
    asset: str = Field(description="path of the asset of a device's metrics, with {group}, {edge} and {device}")
    node_asset: str | None = Field(
        None,
        description="path of the asset of an edge node's own metrics, with {group} and {edge}; else they are passed",
    )
    names: dict[str, MetricName] = Field(
        {}, description="the edge nodes' names of metrics, and ours; names of the glossary are known, others passed"
    )
    reorder_timeout_s: float = Field(
        2.0, gt=0, le=60, description="how long [s] a message waits for one that should come before it"
    )
    rebirth_interval_s: float = Field(
        30.0, gt=0, description="an edge node is asked for its births at most so often [s]"
    )
    qos: Literal[0, 1] = Field(1, description="edge nodes publish data with QoS 0, whatever is asked for here")

    @field_validator("topic")
    @classmethod
    def _of_sparkplug(cls, value: str) -> str:
        if not value.startswith("spBv1.0/") or not value.endswith("/#"):
            raise ValueError('a Sparkplug topic is "spBv1.0/#" or "spBv1.0/GROUP/#": births and data come together')
        return value

    @model_validator(mode="after")
    def _parts_exist(self) -> "SparkplugTopic":
        for key, text, known in (
            ("asset", self.asset, {"group", "edge", "device"}),
            ("node_asset", self.node_asset or "", {"group", "edge"}),
        ):
            if strangers := parts_of(text) - known:
                raise ValueError(f"{key} {text!r} asks for {{{min(strangers)}}}; there is {sorted(known)}")
        return self

    @cached_property
    def topic_template(self) -> TopicTemplate:
        return TopicTemplate(self.topic)

    @property
    def filters(self) -> dict[str, int]:
        """A broker may send a message once for every filter that matches it, so none is inside another."""
        state = {} if self.topic == "spBv1.0/#" else {f"spBv1.0/STATE/{self.host_id}": 1}
        return {**state, self.topic_template.filter: self.qos}

    def decoder(self) -> "SparkplugHost":
        """Raises ConfigError when protobuf is not installed."""
        try:
            from collectors.mqtt.sparkplug import SparkplugHost
        except ImportError as error:
            raise ConfigError(
                f"dialect \"sparkplug\" needs protobuf ({error}): pip install 'km0-telemetry[sparkplug]'"
            ) from error
        return SparkplugHost(self)
