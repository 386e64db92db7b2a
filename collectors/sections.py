"""The collectors that a plant file may have.

Not in the package itself: a probe's sender is a process that imports its own few modules, and starts in a sixth of the
time without the sections of everybody.
"""

from typing import Annotated

from pydantic import Field

from collectors.mqtt import MqttConfig
from collectors.opcua import OpcUaConfig
from collectors.probe.config import ProbeConfig

CollectorConfig = Annotated[MqttConfig | OpcUaConfig | ProbeConfig, Field(discriminator="kind")]
"""Any collector of the plant file, told apart by `kind`."""
