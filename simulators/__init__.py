"""Peers on the wire that know the truth. They import nothing of collectors or pipeline."""

from typing import Annotated

from pydantic import Field

from simulators.sections import (
    Link,
    MqttMachine,
    OpcUaMachine,
    Printer,
    RadioNetwork,
    SparkplugMachine,
    Vehicle,
)  # fmt: skip

MachineSection = OpcUaMachine | MqttMachine | Printer | SparkplugMachine
"""The kinds that are machines: they have a calendar, products and a true TRS."""

SimulatedAsset = Annotated[
    OpcUaMachine | MqttMachine | Printer | SparkplugMachine | Link | Vehicle | RadioNetwork,
    Field(discriminator="kind"),
]
"""The union, on `kind`, of what may stand in a scenario's [[assets]]."""

__all__ = [
    "Link", "MachineSection", "MqttMachine", "OpcUaMachine", "Printer", "RadioNetwork", "SimulatedAsset",
    "SparkplugMachine", "Vehicle",
]  # fmt: skip
