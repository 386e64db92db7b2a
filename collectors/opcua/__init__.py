"""OPC UA: a session that comes back, a subscription that keeps every value, and history for what a cut has hidden."""

from collectors.opcua.config import OpcUaConfig

__all__ = ["OpcUaConfig"]
