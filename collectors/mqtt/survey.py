"""What a broker carries, topic by topic, and what a plant file would say of it. Guesses: a human reads them first.

`listen` is the only part with a connection; it subscribes at QoS 0 in a session that ends with it, and answers nothing.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from collectors.mqtt.connecting import SessionSettings
from collectors.mqtt.decoder import Message
from collectors.mqtt.session import Session
from collectors.mqtt.umati import decoded_id
from telemetry.glossary import METRICS

MOST_TOPICS: Final = 2000
"""Topics that are looked at; a broker with more is looked at with a narrower filter."""

_VALUE_KEYS: Final = ("value", "val", "v", "Value")
_TIME_KEYS: Final = ("time", "timestamp", "ts", "t", "Time", "Timestamp", "datetime", "date")
_QUALITY_KEYS: Final = ("quality", "q", "Quality")
_SYNONYMS: Final = {
    "status": "state",
    "machine_state": "state",
    "made": "parts",
    "count": "parts",
    "part_count": "parts",
    "good_count": "parts_good",
    "good": "parts_good",
    "scrap": "parts_scrap",
    "reject_count": "parts_scrap",
    "job": "product",
    "article": "product",
    "temp": "temperature",
    "power_w": "power",
    "watts": "power",
    "energy_wh": "energy",
    "rpm": "spindle_speed",
    "snr": "sinr",
}
_ASSET_LEVEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(slots=True)
class Heard:
    """One topic: how often, the last payload, and what was guessed from it."""

    topic: str
    count: int = 0
    retained: int = 0
    payload: bytes = b""
    dialect: str = ""
    metrics: dict[str, str] = field(default_factory=dict)
    """Where a value is (a JSON pointer, a name, or "" for the topic's last level) → metric of the glossary."""
    keys: dict[str, str] = field(default_factory=dict)
    """Settings of the entry: value, time, quality."""


def metric_of(name: str) -> str:
    """The metric of the glossary that a name seems to mean, or ""."""
    plain = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()
    return plain if plain in METRICS else _SYNONYMS.get(plain, "")


def guess(heard: Heard) -> None:
    """Fill in dialect, metrics and keys from topic and payload."""
    last = heard.topic.rsplit("/", 1)[-1]
    if heard.topic.startswith("spBv1.0/"):
        heard.dialect = "sparkplug"
        return
    try:
        document = json.loads(heard.payload)
    except (ValueError, RecursionError):
        text = heard.payload[:100].decode("utf-8", "replace")
        if text and text.isprintable() and len(heard.payload) <= 60:
            heard.dialect = "value"
            heard.metrics = {"": metric} if (metric := metric_of(last)) else {}
        return
    one = document[0] if isinstance(document, list) and document else document
    if isinstance(document, list) and isinstance(one, dict) and one.keys() & {"n", "bn"} and not one.keys() & {"value"}:
        heard.dialect = "senml"
        names = [str(record.get("n", "")) for record in document if isinstance(record, dict)]
        heard.metrics = {name: metric for name in names if (metric := metric_of(re.split(r"[:/]", name)[-1]))}
    elif not isinstance(one, dict):
        heard.dialect = "value" if not isinstance(one, list) and one is not None else ""
        heard.metrics = {"": metric} if (metric := metric_of(last)) else {}
    elif str(one.get("MessageType", "")).startswith("ua-") or "DataSetWriterId" in one:
        heard.dialect = "opcua_pubsub"
        messages = one.get("Messages", one)
        first = messages[0] if isinstance(messages, list) and messages else messages
        fields = first.get("Payload", {}) if isinstance(first, dict) else {}
        heard.metrics = {name: metric for name in fields or {} if (metric := metric_of(name))}
    elif heard.topic.startswith("umati/") or one.keys() >= {"Identification", "Monitoring"}:
        heard.dialect = "umati"
    else:
        _guess_json(heard, one, last)


def _guess_json(heard: Heard, one: dict[str, Any], last: str) -> None:
    heard.dialect = "json"
    for setting, keys, default in (("time", _TIME_KEYS, "time"), ("quality", _QUALITY_KEYS, "quality")):
        found = next((key for key in keys if key in one), default)
        if found != default:
            heard.keys[setting] = f"/{found}"
    value = next((key for key in _VALUE_KEYS if key in one), None)
    if value is not None:
        if value != "value":
            heard.keys["value"] = f"/{value}"
        heard.metrics = {"": metric} if (metric := metric_of(last)) else {}
        return
    for pointer, name in _leaves(one):
        metric = metric_of(name)
        if metric and metric not in heard.metrics.values():
            heard.metrics[pointer] = metric


def _leaves(document: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        pointer = f"{above}/{key.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict) and above.count("/") < 2:
            yield from _leaves(value, pointer)
        elif isinstance(value, int | float | str):
            yield pointer, key


async def listen(settings: SessionSettings, seconds: float) -> list[Heard]:
    """Every topic that said something within so many seconds [s], by name. Raises SourceError."""
    found: dict[str, Heard] = {}
    async with Session(settings, lambda *_: None) as session:
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            batch = await session.batch(left)
            for message in batch.messages:
                _hear(found, message)
            session.acknowledge(batch)
            await asyncio.sleep(0)
    for heard in found.values():
        guess(heard)
    return sorted(found.values(), key=lambda heard: heard.topic)


def _hear(found: dict[str, Heard], message: Message) -> None:
    heard = found.get(message.topic)
    if heard is None:
        if len(found) >= MOST_TOPICS or message.topic.startswith("$"):
            return
        heard = found[message.topic] = Heard(message.topic)
    heard.count += 1
    heard.retained += message.retained
    heard.payload = message.payload


# --- what a plant file would say ---


def asset_of(topic_levels: list[str], under: str) -> str:
    """A path for the asset behind these levels: themselves when they are one already, else below `under`."""
    levels = topic_levels[-6:]
    if len(levels) > 1 and all(_ASSET_LEVEL.fullmatch(level) for level in levels):
        return "/".join(levels)
    slug = "-".join(re.sub(r"[^a-z0-9._-]+", "-", level.lower()).strip("-._") for level in topic_levels).strip("-")
    return f"{under}/{slug[:80] or 'machine'}"


def entries(found: list[Heard], under: str) -> list[dict[str, Any]]:
    """Entries of `topics` for what has a metric, each for one asset, and for umati gateways, with their `assets`.

    Sparkplug is not among them: it stands alone.
    """
    made: dict[tuple[str, ...], dict[str, Any]] = {}
    for heard in found:
        levels = heard.topic.split("/")
        if not heard.metrics or heard.dialect not in ("json", "value", "opcua_pubsub", "senml"):
            continue
        by_topic = "" in heard.metrics and len(levels) > 1
        if re.search(r"[{}]", heard.topic):
            continue
        if not by_topic:
            made[heard.topic, heard.dialect] = _own_entry(heard, asset_of(levels, under))
            continue
        prefix = "/".join(levels[:-1])
        key = (prefix, heard.dialect, str(heard.keys))
        entry = made.setdefault(
            key,
            {
                "dialect": heard.dialect,
                "topic": f"{prefix}/{{metric}}",
                "asset": asset_of(levels[:-1], under),
                **heard.keys,
                "names": {},
            },
        )
        if heard.metrics[""] != levels[-1]:
            entry["names"][levels[-1]] = heard.metrics[""]
    filters: dict[str, dict[str, Any]] = _gateways(found, under)
    for entry in made.values():
        filters.setdefault(entry["topic"], entry)  # two shapes on one prefix: the first is written, a human sees both
    return list(filters.values())


def _gateways(found: list[Heard], under: str) -> dict[str, dict[str, Any]]:
    """An entry per umati gateway, by its filter, with the machines that it tells of."""
    gateways: dict[str, dict[str, Any]] = {}
    for heard in found:
        *above, kind, machine = ["", *heard.topic.split("/")]
        if heard.dialect == "umati" and kind.endswith("Type") and not re.search(r"[{}]", heard.topic):
            topic = "/".join((*above[1:], "#"))
            entry = gateways.setdefault(topic, {"dialect": "umati", "topic": topic, "assets": {}})
            name = decoded_id(machine)
            entry["assets"][name] = asset_of([re.split("[=/;:]", name)[-1] or name], under)
    return gateways


def _own_entry(heard: Heard, asset: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"dialect": heard.dialect, "topic": heard.topic, "asset": asset}
    if "" in heard.metrics:
        return entry | heard.keys | {"metric": heard.metrics[""]}
    if heard.dialect == "json":
        report = [{"metric": metric, "value": pointer} for pointer, metric in heard.metrics.items()]
        return entry | heard.keys | {"metrics": report}
    return entry | {"names": {name: metric for name, metric in heard.metrics.items() if name != metric}}
