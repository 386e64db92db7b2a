"""Of which asset and metric a topic speaks: the part of a `topics` entry that every dialect shares."""

from functools import cached_property
from typing import Final, Literal

from pydantic import Field, model_validator

from collectors.mqtt.mapping import MetricName, ValueRules
from collectors.mqtt.topics import Topic, TopicTemplate, fill, parts_of

_CACHED: Final = 20_000
"""Topics whose address is remembered; beyond that all are forgotten, so that made-up topics fill no memory."""


class TopicRules(ValueRules):
    """An entry of `topics`: what is subscribed to, and how a topic names its asset and metric."""

    topic: Topic = Field(description='levels are words, named parts {part}, + or a last #; "{site}/{line}/{metric}"')
    qos: Literal[0, 1] = Field(
        1, description="1: a message stays at the broker until it is on our disk; 0: it may be lost"
    )
    asset: str | None = Field(
        None, description="path of the asset, with {part}s; unless given, all parts but {metric}, joined by /"
    )
    metric: str | None = Field(
        None, description='metric, with {part}s; "{metric}" unless given; a JSON pointer to its name in the payload'
    )
    time_property: str | None = Field(
        None, description="name of the MQTT 5 user property that is the source's time, where the payload has none"
    )
    names: dict[str, MetricName] = Field({}, description="the source's own names of metrics, and ours")

    @model_validator(mode="after")
    def _parts_exist(self) -> "TopicRules":
        for key, text in (("asset", self.asset_template), ("metric", self.metric or "")):
            if strangers := parts_of(text) - self.topic_template.names:
                raise ValueError(
                    f"{key} {text!r} asks for {{{min(strangers)}}}, which is no part of topic {self.topic!r}"
                )
        if not self.asset_template:
            raise ValueError(f"topic {self.topic!r} names no asset: give `asset`")
        return self

    @cached_property
    def topic_template(self) -> TopicTemplate:
        return TopicTemplate(self.topic)

    @property
    def filters(self) -> dict[str, int]:
        """What is subscribed to, with which QoS."""
        return {self.topic_template.filter: self.qos}

    @cached_property
    def asset_template(self) -> str:
        if self.asset is not None:
            return self.asset
        levels = [level for level in self.topic.split("/") if level.startswith("{") and level != "{metric}"]
        return "/".join(levels)

    @cached_property
    def metric_template(self) -> str | None:
        """What names the metric, or None when neither the topic nor `metric` does."""
        return self.metric or ("{metric}" if "metric" in self.topic_template.names else None)


class Addressing:
    """Remembers the asset and metric of every topic it was asked for."""

    def __init__(self, rules: TopicRules) -> None:
        self._template: Final = rules.topic_template
        self._asset: Final = rules.asset_template
        metric = rules.metric_template
        self._metric: Final = None if metric is None or metric.startswith("/") else metric
        self._names: Final = rules.names
        self._known: Final[dict[str, tuple[str, str]]] = {}

    def of(self, topic: str) -> tuple[str, str]:
        """Asset and metric of a topic that matches the template; metric "" when it is not for the topic to say."""
        address = self._known.get(topic)
        if address is None:
            parts = self._template.match(topic)
            assert parts is not None, "the collector hands a decoder only topics that match its template"
            asset = fill(self._asset, parts)
            metric = "" if self._metric is None else self.named(fill(self._metric, parts))
            if len(self._known) >= _CACHED:
                self._known.clear()
            address = self._known[topic] = (asset, metric)
        return address

    def named(self, name: str) -> str:
        """Our name of a metric that the source calls `name`."""
        return self._names.get(name, name)
