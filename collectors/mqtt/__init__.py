"""MQTT: a persistent session, acknowledged only after `put`, and the dialects spoken over it.

From the wire up: `connecting`, `client` and `framing` (paho, fast), `pump` and `keepalive` (when to read, when to give
up), `session` (batches in, acknowledgements out), `collector` (decode, put, acknowledge). `decoder` is what a dialect
must be: `json`, `value`, `senml`, `opcua_pubsub`, `umati`, `sparkplug`, and the parts they share. `survey` listens for
proposals.
"""

from collectors.mqtt.config import MqttConfig

__all__ = ["MqttConfig"]
