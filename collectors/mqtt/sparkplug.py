"""The Sparkplug B 3.0.0 dialect: we are a host application. Pure: what to publish is told, the clock is given.

A host application has no persistent session (the specification forbids it): what is published while it is away, the
broker drops. Edge nodes that know this host as their primary one keep such data and send it later as historical; of
the others it is lost, and the values are UNKNOWN (BAD) from the last message to the next birth instead of held.
"""

import json
from collections import Counter
from typing import Final

from collectors.mqtt.decoder import Fault, Message, MessageError, Opening, Publication
from collectors.mqtt.mapping import Reader
from collectors.mqtt.sparkplug_clock import MS_NS
from collectors.mqtt.sparkplug_codec import parse, rebirth_request
from collectors.mqtt.sparkplug_node import Answer, EdgeNode, Item
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from collectors.mqtt.topics import fill
from telemetry.glossary import METRICS
from telemetry.samples import SECOND_NS

_NODES: Final = 10_000
"""Most edge nodes that are known at once: made-up topics fill no memory."""

_SAID: Final = frozenset(("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA"))
_COMMANDS: Final = frozenset(("NCMD", "DCMD"))
_WILD: Final = frozenset("+#")
"""No broker lets these into a topic; and we publish to a topic made of what came."""


class SparkplugHost:
    """A Host (see there): all edge nodes of one connection."""

    def __init__(self, rules: SparkplugTopic) -> None:
        self._rules: Final = rules
        self._reader: Final = Reader(rules)
        self._nodes: Final[dict[tuple[str, str], EdgeNode]] = {}
        self._asked_ns: Final[dict[tuple[str, str], int]] = {}
        self._said: list[Publication] = []
        self._online_ms = 0
        self._state_topic: Final = f"spBv1.0/STATE/{rules.host_id}"
        self.counts: Final[Counter[str]] = Counter()

    def opening(self, now_ns: int) -> Opening:
        """Will and birth of STATE carry the same time, so that edge nodes can tell which belongs to which."""
        self._online_ms = now_ns // MS_NS
        return Opening(
            will=self._state(False, self._online_ms),
            greeting=self._state(True, self._online_ms),
            farewell=lambda at_ns: self._state(False, at_ns // MS_NS),
        )

    def decode(self, message: Message) -> Answer:
        levels = message.topic.split("/")
        if levels[0] != "spBv1.0" or len(levels) < 3:
            raise MessageError(Fault.SHAPE, "not a topic of Sparkplug B")
        if levels[1] == "STATE":
            self._hear_state(message)
            return []
        kind = levels[2]
        if kind in _COMMANDS:
            return []
        device = levels[4] if len(levels) == 5 else ""
        well_formed = 4 <= len(levels) <= 5 and bool(device) == (kind[0] == "D") and levels[3]
        if kind not in _SAID or not well_formed or _WILD & set(message.topic):
            raise MessageError(Fault.SHAPE, f"no topic of an edge node: {'/'.join(levels[1:])[:80]!r}")
        key = levels[1], levels[3]
        node = self._node(key)
        try:
            if message.retained:
                node.wants_rebirth = True
                raise MessageError(Fault.SHAPE, f"{kind} is retained, which is forbidden: it is old, not what is now")
            try:
                payload = parse(message.payload)
            except MessageError:
                node.wants_rebirth = True
                raise
            return node.receive(Item(kind, device, payload, message.received_ns))
        finally:
            self._ask(key, node, message.received_ns)

    def expire(self, now_ns: int) -> Answer:
        answer: Answer = []
        for key, node in self._nodes.items():
            answer += node.expire(now_ns)
            self._ask(key, node, now_ns)
        return answer

    def ended(self, now_ns: int) -> Answer:  # noqa: ARG002  # what is not known starts at the last message, not now
        answer = [said for node in self._nodes.values() for said in node.ended()]
        self._said.clear()
        self._asked_ns.clear()
        return answer

    def say(self) -> list[Publication]:
        said, self._said = self._said, []
        return said

    def _node(self, key: tuple[str, str]) -> EdgeNode:
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= _NODES:
                raise MessageError(Fault.SHAPE, f"more than {_NODES} edge nodes: split them by `topic`")
            group, edge = key
            rules = self._rules

            def mapped(device: str, name: str) -> tuple[str, str]:
                metric = rules.names.get(name) or (name if name in METRICS else "")
                template = rules.asset if device else rules.node_asset
                if template is None or not metric:
                    return "", ""
                return fill(template, {"group": group, "edge": edge, "device": device}), metric

            timeout_ns = int(rules.reorder_timeout_s * SECOND_NS)
            node = EdgeNode(mapped, self._reader, (rules.scale, rules.offset, timeout_ns), self._note)
            self._nodes[key] = node
        return node

    def _note(self, what: str) -> None:
        self.counts[what] += 1

    def _ask(self, key: tuple[str, str], node: EdgeNode, now_ns: int) -> None:
        """Ask for births, if the node wants it and was not asked a moment ago."""
        asked_ns = self._asked_ns.get(key)
        interval_ns = int(self._rules.rebirth_interval_s * SECOND_NS)
        # either way: a clock that was set back must not make us wait for it to come round again
        if not node.wants_rebirth or (asked_ns is not None and abs(now_ns - asked_ns) < interval_ns):
            return
        node.wants_rebirth = False
        self._asked_ns[key] = now_ns
        self.counts["rebirths_asked"] += 1
        self._said.append(Publication(f"spBv1.0/{key[0]}/NCMD/{key[1]}", rebirth_request(now_ns // MS_NS)))

    def _hear_state(self, message: Message) -> None:
        if message.topic != self._state_topic:
            return
        try:
            state = json.loads(message.payload)
            online, stated_ms = state["online"], state["timestamp"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise MessageError(Fault.SYNTAX, 'not a STATE of Sparkplug 3.0: {"online": …, "timestamp": …}') from None
        if online is False:
            # Someone says that we are gone: edge nodes would stop. They believe no STATE older than the last.
            later = stated_ms if type(stated_ms) is int and 0 < stated_ms < 2**53 else 0
            self._said.append(self._state(True, max(self._online_ms, later)))

    def _state(self, online: bool, at_ms: int) -> Publication:
        said = json.dumps({"online": online, "timestamp": at_ms}).encode()
        return Publication(self._state_topic, said, qos=1, retain=True)
