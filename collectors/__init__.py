"""What the plant says: each collector turns the words of a machine or link into samples and puts them.

To add a collector: one package or module with its config section (`kind: Literal["…"]`, `build(plant, health)`) and
its class, and one name in the union below. A section imports its protocol library inside `build`.
"""

from typing import Annotated

from pydantic import Field

from collectors.mqtt import MqttConfig
from collectors.opcua import OpcUaConfig
from collectors.probe import ProbeConfig

CollectorConfig = Annotated[MqttConfig | OpcUaConfig | ProbeConfig, Field(discriminator="kind")]
"""Any collector of the plant file, told apart by `kind`."""
