"""[[collectors]] of kind "mqtt": the broker, the session, and what is said on which topics."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from collectors.mqtt.decoder import Opening, Publication
from collectors.mqtt.json import JsonTopic
from collectors.mqtt.opcua_pubsub import OpcUaPubSubTopic
from collectors.mqtt.senml import SenmlTopic
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from collectors.mqtt.umati import UmatiTopic
from collectors.mqtt.value import ValueTopic
from telemetry.config import HostName, Secret, Section
from telemetry.health import Health
from telemetry.plant import Plant

if TYPE_CHECKING:
    from collectors.mqtt.collector import MqttCollector

TopicConfig = Annotated[
    JsonTopic | ValueTopic | SparkplugTopic | OpcUaPubSubTopic | UmatiTopic | SenmlTopic, Field(discriminator="dialect")
]


class Tls(Section):
    """How to know the broker, and how it knows us. `tls = {}` trusts the authorities of this system."""

    ca: Path | None = Field(None, description="PEM file of the authority that signed the broker's certificate")
    certificate: Path | None = Field(None, description="PEM file of our own certificate, if the broker asks for one")
    key: Path | None = Field(None, description="PEM file of the key of our certificate")
    key_password: Secret | None = Field(None, description="where the password of the key is kept")

    @model_validator(mode="after")
    def _whole(self) -> "Tls":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` go together: give both or neither")
        if self.key_password is not None and self.key is None:
            raise ValueError("`key_password` is for a `key`, and there is none")
        return self


class MqttConfig(Section):
    """A broker and what we read from it. Nothing is acknowledged to it before it is on our disk."""

    kind: Literal["mqtt"] = "mqtt"
    name: str = Field("mqtt", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="what this collector is called")
    host: HostName = Field(description="name or address of the broker")
    port: int | None = Field(None, ge=1, le=65535, description="1883 unless given, 8883 with `tls`")
    protocol: Literal["5", "3.1.1"] = Field("5", description="version of MQTT that the broker speaks")
    client_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description='identity of our session at the broker, "km0-" and `name` unless given; never two clients with one',
    )
    username: str | None = Field(None, description="user name at the broker")
    password: Secret | None = Field(None, description="where the password of that user is kept")
    tls: Tls | None = Field(None, description="encrypt, and check who the broker is")
    websocket: str | None = Field(
        None,
        pattern="^/",
        description='path of the broker\'s WebSocket, such as "/mqtt"; unless given, plain TCP or TLS',
    )
    share: str | None = Field(
        None,
        pattern=r"^[^/+#\x00]+$",
        description="name of a group ($share/…) whose collectors split the messages; each then needs its own client_id",
    )
    status_topic: str | None = Field(
        None,
        pattern=r"^[^+#\x00]+$",
        description='where we say, retained, {"online": true} while we are connected, and the broker false when not',
    )
    keepalive_s: int = Field(
        20, ge=1, le=3600, description="a connection that is silent for 1.5 times so long [s] is given up"
    )
    session_expiry_s: int = Field(
        7 * 86400, ge=0, le=2**32 - 1, description="how long [s] the broker keeps messages for us while we are away"
    )
    max_in_flight: int = Field(
        5000, ge=1, le=65535, description="most messages read from the broker and not yet on disk"
    )
    max_in_flight_bytes: int = Field(
        32 * 2**20, ge=1024, description="most bytes of such messages; one longer message passes alone"
    )
    topics: tuple[TopicConfig, ...] = Field(
        min_length=1, description="what is said where; the first entry that matches a topic decodes it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "MqttConfig":
        if self.password is not None and self.username is None:
            raise ValueError("a `password` needs a `username`")
        filters = [entry.topic_template.filter for entry in self.topics]
        if twice := {one for one in filters if filters.count(one) > 1}:
            raise ValueError(f"two entries of `topics` match the same topics {min(twice)!r}: only the first would act")
        if any(isinstance(entry, SparkplugTopic) for entry in self.topics):
            self._alone()
        if self.share is not None and self.client_id is None:
            raise ValueError("`share` is for several collectors at one broker: give each its own `client_id`")
        return self

    def _alone(self) -> None:
        """What a Sparkplug host application must not be mixed with."""
        if self.share is not None:
            raise ValueError(
                "`share` splits an edge node's messages between collectors, but its aliases and sequence numbers are "
                'one state: no collector could read its part. Split Sparkplug by group: topic = "spBv1.0/GROUP/#"'
            )
        if len(self.topics) > 1:
            raise ValueError(
                "a Sparkplug host application has no persistent session, so whatever else this collector reads would "
                "be lost while it is away: give the Sparkplug entry a [[collectors]] of its own"
            )
        if self.status_topic is not None:
            raise ValueError("a Sparkplug host application says that it is there by STATE: leave out `status_topic`")

    @property
    def subscriptions(self) -> dict[str, int]:
        """The filters that are subscribed to, and their QoS."""
        group = "" if self.share is None else f"$share/{self.share}/"
        return {f"{group}{one}": qos for entry in self.topics for one, qos in entry.filters.items()}

    def opening(self, now_ns: int) -> Opening | None:
        """How we say on `status_topic` that we are there; None when we are not asked to."""
        if self.status_topic is None:
            return None

        def status(online: bool, at_ns: int) -> Publication:
            said = json.dumps({"online": online, "timestamp": at_ns // 1_000_000}).encode()
            return Publication(str(self.status_topic), said, qos=1, retain=True)

        return Opening(status(False, now_ns), status(True, now_ns), lambda at_ns: status(False, at_ns))

    @property
    def effective_port(self) -> int:
        return self.port or (1883 if self.tls is None else 8883)

    @property
    def effective_client_id(self) -> str:
        return self.client_id or f"km0-{self.name}"

    def build(self, plant: Plant, health: Health) -> "MqttCollector":
        """The collector. Raises ConfigError when a secret or a TLS file cannot be read."""
        from collectors.mqtt.collector import MqttCollector  # heavy imports only where the config asks for them

        return MqttCollector(self, plant, health.component(self.name))
