"""MQTT: a persistent session, acknowledged only after `put`, and the dialects spoken over it."""

from collectors.mqtt.config import MqttConfig

__all__ = ["MqttConfig"]
