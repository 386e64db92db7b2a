"""What the umati gateway says of a machine over MQTT: its OPC UA tree as JSON, keyed by BrowseName. Pure, no I/O.

The gateway sends no source time and no status, everything retained and QoS 0, and samples every 300 ms: values are
UNCERTAIN and as old as their arrival, and counters are counters, not events. Which value is which follows the
companion specification (OPC 40501-1); the plant file only says which machine is which asset.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.mapping import Reader, ValueRules
from collectors.mqtt.topics import Topic, TopicTemplate
from telemetry.glossary import MachineState
from telemetry.samples import Quality, Sample

_ENCODED: Final = re.compile(r"_([0-9A-F]{2})")
_ITEM_STATES: Final = {
    "notavailable": MachineState.NOT_AVAILABLE,
    "outofservice": MachineState.OUT_OF_SERVICE,
    "notexecuting": MachineState.NOT_EXECUTING,
    "executing": MachineState.EXECUTING,
}
_PROGRAM_STATES: Final = {
    "initializing": MachineState.NOT_EXECUTING,
    "running": MachineState.EXECUTING,
    "ended": MachineState.NOT_EXECUTING,
    "interrupted": MachineState.NOT_EXECUTING,
    "aborted": MachineState.NOT_EXECUTING,
}
_MODES: Final = {2: MachineState.SETUP, 4: MachineState.MAINTENANCE}
"""MachineOperationMode of OPC 40501-1 in which a machine that does not execute is not simply waiting."""


class UmatiTopic(ValueRules):
    """An entry of `topics` for machines behind an umati gateway."""

    dialect: Literal["umati"]
    topic: Topic = Field("umati/v2/#", description="the gateway's prefix and client id, then #")
    assets: dict[str, str] = Field(
        min_length=1, description="the machine's NodeId as the gateway writes it in the topic (decoded), and its asset"
    )
    qos: Literal[0, 1] = Field(1, description="the gateway publishes with QoS 0, whatever is asked for here")

    @property
    def topic_template(self) -> TopicTemplate:
        return TopicTemplate(self.topic)

    @property
    def filters(self) -> dict[str, int]:
        return {self.topic_template.filter: self.qos}

    def decoder(self) -> "UmatiDecoder":
        return UmatiDecoder(self)


class UmatiDecoder:
    """Decodes what an UmatiTopic describes. Machines that `assets` does not name are passed."""

    def __init__(self, rules: UmatiTopic) -> None:
        self._parse: Final = msgspec.json.Decoder().decode
        self._rules: Final = rules
        self._reader: Final = Reader(rules)

    def decode(self, message: Message) -> list[Sample | MessageError]:
        *_, before, last = ["", "", *message.topic.split("/")]
        if before in ("list", "bad_list") or last in ("clientOnline", "gw-version"):
            return []
        asset = self._rules.assets.get(decoded_id(last))
        if asset is None:
            return []
        received_ns = message.received_ns
        if before == "online":
            if message.payload.strip() != b"0":
                return []
            # The machine left the gateway: nothing of it is known from here on.
            return [Sample(received_ns, asset, "state", 0.0, "", Quality.BAD, received_ns)]
        try:
            tree = self._parse(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MessageError(Fault.SYNTAX, f"not JSON: {error}") from None
        if not isinstance(tree, dict):
            raise MessageError(Fault.SHAPE, "the machine is no JSON object")
        result: list[Sample | MessageError] = []
        for metric, raw in _values(tree):
            try:
                number, text, own = self._reader.value(metric, raw, self._rules.scale, self._rules.offset)
            except MessageError as refusal:
                result.append(refusal)
            else:
                quality = max(own, Quality.UNCERTAIN)
                result.append(Sample(received_ns, asset, metric, number, text, quality, received_ns))
        return result


def decoded_id(level: str) -> str:
    """The NodeId behind a level of the topic: `_` and two hexadecimal digits stand for any other byte."""
    raw = _ENCODED.sub(lambda found: chr(int(found[1], 16)), level)
    try:
        return raw.encode("latin-1").decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return raw


def _values(tree: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Metrics that the tree has a value for."""
    state = _state(tree)
    if state is not None:
        yield "state", state.name
    for metric, *paths in _PATHS:
        for path in paths:
            value = _at(tree, path)
            if value is not None and value != "":
                yield metric, value
                break
    parts = [_at(job, ("PartsCompleted",)) for job in _instances(_node(tree, ("Production", "ProductionPlan")))]
    known = [value for value in parts if isinstance(value, int | float) and not isinstance(value, bool)]
    if not known:
        value = _at(tree, ("Production", "Statistics", "PartsProducedInLifetime"))
        known = [value] if isinstance(value, int | float) and not isinstance(value, bool) else []
    if known:
        yield "parts", sum(known)
    good = [_at(job, ("PartsGood",)) for job in _instances(_node(tree, ("Production", "ProductionPlan")))]
    if any(isinstance(value, int | float) and not isinstance(value, bool) for value in good):
        yield "parts_good", sum(value for value in good if isinstance(value, int | float))


_PATHS: Final[tuple[tuple[Any, ...], ...]] = (
    ("program", ("Production", "ActiveProgram", "Name")),
    ("order", ("Production", "ActiveProgram", "JobIdentifier")),
    ("feed_override", ("Monitoring", "MachineTool", "FeedOverride"), ("Monitoring", "Channel", "FeedOverride")),
    ("spindle_override", ("Monitoring", "Spindle", "Override")),
)


def _state(tree: dict[str, Any]) -> MachineState | None:
    """By MachineryItemState where there is one, else by the active program; a stop in setup or service is that."""
    found = None
    for path, names in (
        (("MachineryBuildingBlocks", "MachineryItemState", "CurrentState"), _ITEM_STATES),
        (("Monitoring", "MachineTool", "MachineryItemState", "CurrentState"), _ITEM_STATES),
        (("Production", "ActiveProgram", "State", "CurrentState"), _PROGRAM_STATES),
    ):
        said = _at(tree, path)
        if isinstance(said, str):
            found = names.get(re.sub(r"[\s_-]", "", said).lower())
            if found is not None:
                break
    mode = _at(tree, ("Monitoring", "MachineTool", "OperationMode"))
    if found == MachineState.NOT_EXECUTING and isinstance(mode, int):
        return _MODES.get(mode, found)
    return found


def _node(tree: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def _at(tree: object, path: tuple[str, ...]) -> Any:
    """The bare value at a path: {"value": v, "properties": …} is v, a LocalizedText its text; None for none."""
    found = _node(tree, path)
    if isinstance(found, dict) and "value" in found:
        found = found["value"]
    if isinstance(found, dict) and "text" in found:
        found = found["text"]
    return None if isinstance(found, dict | list) else found


def _instances(folder: object) -> Iterator[object]:
    """The objects in a folder: below its placeholder ("<OrderedObject>") or directly."""
    if isinstance(folder, dict):
        for key, entry in folder.items():
            if isinstance(entry, dict):
                if key.startswith("<"):
                    yield from entry.values()
                else:
                    yield entry
