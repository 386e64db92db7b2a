"""What a server offers to somebody who does not know it: its security, its machines, or its variables and a guess."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from cryptography import x509

from collectors.opcua import machines
from collectors.opcua.browse import Browser, Seen
from collectors.opcua.config import OpcUaConfig
from collectors.opcua.machine import Machine, Told
from collectors.opcua.security import POLICIES, first_of_chain
from collectors.opcua.session import connect, speaking_with
from collectors.opcua.trust import fingerprint
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.glossary import METRICS, MachineState
from telemetry.samples import Quality, Sample
from telemetry.validity import Gate

MOST_VARIABLES: Final = 5_000
"""Variables of a server without machines that are listed; a search narrows them down."""

_DEPTH: Final = 8
_MEANT: Final = (
    (r"scrap|reject|defect|\bnok\b|rebut|ausschuss", "parts_scrap"),
    (r"good.*(part|count|pi)|parts?_?good|\bok_?count|bonnes|gutteil", "parts_good"),
    (
        r"part.*(count|produced|total|made|completed)|piece|st(ü|ue)ck|pi[eè]ces|(count|total).*parts?|^parts?$|counter",
        "parts",
    ),
    (r"feed.*over", "feed_override"),
    (r"rapid.*over", "rapid_override"),
    (r"(spindle|broche).*over", "spindle_override"),
    (r"(spindle|broche).*(speed|rpm|vitesse|drehzahl)|^rpm$", "spindle_speed"),
    (r"(spindle|broche).*(load|charge|last)", "spindle_load"),
    (r"vibration", "spindle_vibration"),
    (r"temperatur|^temp|_temp", "temperature"),
    (r"power|puissance|leistung|watt", "power"),
    (r"energ|kwh", "energy"),
    (r"program|\bnc_?name", "program"),
    (r"product|article|reference_?name|produkt|produit", "product"),
    (r"order|\bof\b|auftrag|job_?(id|name)", "order"),
    (r"reason|cause|grund", "reason"),
    (r"machine_?state|^state$|status|[ée]tat|zustand|run_?mode", "state"),
)
"""What a name may mean, most telling first. A guess: it is shown as one, and never collected by itself."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One endpoint. `security` is our name of the policy, or the server's with `spoken` False."""

    security: str
    mode: str
    spoken: bool
    users: tuple[str, ...]
    certificate: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate) if self.certificate else ""

    @property
    def subject(self) -> str:
        try:
            return x509.load_der_x509_certificate(self.certificate).subject.rfc4514_string()
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a machine would give: where it is told, and what it is now; `sample` None: nothing yet."""

    name: str
    paths: tuple[str, ...]
    sample: Sample | None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a server without companion model; `guess` is the metric that its name suggests, or ""."""

    path: str
    node: str
    value: str
    guess: str


@dataclass(slots=True)
class Survey:
    """What was found over one session."""

    machines: list[tuple[Machine, list[Metric]]] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    cut_short: bool = False


async def offers(url: str, timeout_s: float) -> list[Offer]:
    """The endpoints of a server, asked without security. Raises SourceError."""
    names = {policy.URI: name for name, policy in POLICIES.items()}
    kinds = {ua.UserTokenType.Anonymous: "anonymous", ua.UserTokenType.UserName: "user and password"}
    kinds[ua.UserTokenType.Certificate] = "user certificate"
    with speaking_with(url):
        endpoints = await Client(url, timeout=timeout_s).connect_and_get_server_endpoints()
    found = []
    for one in endpoints:
        uri = str(one.SecurityPolicyUri)
        users = tuple(sorted({kinds.get(token.TokenType, "other") for token in one.UserIdentityTokens or ()}))
        mode = "None" if one.SecurityMode == ua.MessageSecurityMode.None_ else one.SecurityMode.name
        der = first_of_chain(bytes(one.ServerCertificate or b""))
        found.append(Offer(names.get(uri, uri.rpartition("#")[2]), mode, uri in names, users, der))
    return list(dict.fromkeys(found))


async def look(config: OpcUaConfig, password: str | None, search: str = "") -> Survey:
    """Machines and the metrics they would give; without any, the server's variables. Raises SourceError."""
    found = Survey()
    async with connect(config, password) as session:
        browser = Browser(session, await session.namespaces())
        for machine in await machines.find(browser):
            asset = config.machines[0].asset
            await machines.describe(browser, machine, asset, Gate([asset]))
            found.machines.append((machine, await _metrics(browser, machine)))
        if not found.machines or search:
            await _variables(browser, found, search.lower())
    return found


async def _metrics(browser: Browser, machine: Machine) -> list[Metric]:
    rows: dict[str, list[Told]] = {}
    for told in machine.told:
        rows.setdefault(told.metric, []).append(told)
    values = await browser.readings([told.place.seen.node for told in machine.told])
    by_node = {told.place.seen.node: value for told, value in zip(machine.told, values, strict=True)}
    found = []
    for name, parts in rows.items():
        newest: Sample | None = None
        for told in parts:
            for sample in _samples(told, by_node[told.place.seen.node]):
                newest = sample if newest is None or sample.time_ns >= newest.time_ns else newest
        found.append(Metric(name, tuple(told.place.path for told in parts), newest))
    if machine.notifiers:
        found.append(Metric("alarm", tuple(f"{place.path} (events)".lstrip() for place in machine.notifiers), None))
    return found


def _samples(told: Told, value: Any) -> list[Sample]:
    status = value.StatusCode.value if value.StatusCode is not None else 0
    content = value.Value.Value if value.Value is not None else None
    time = value.SourceTimestamp or value.ServerTimestamp
    at_ns = round(time.timestamp() * 1000) * 1_000_000 if time is not None else 0
    try:
        return told.reader.samples(Reading(content, status, at_ns, at_ns), at_ns)
    except DecodeError:
        return []


async def _variables(browser: Browser, found: Survey, search: str) -> None:
    top = Seen(ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder)), "", "", "", True, ua.NodeId())
    level, met = [(top, "")], {top.node}
    chosen: list[tuple[Seen, str]] = []
    for _ in range(_DEPTH):
        below = await browser.children([seen.node for seen, _ in level])
        nearer = []
        for (_, path), children in zip(level, below, strict=True):
            for child in children:
                # namespace 0 below Objects is the server speaking of itself
                if child.node in met or child.node.NamespaceIndex == 0:
                    continue
                met.add(child.node)
                nearer.append((child, f"{path}/{child.name}".lstrip("/")))
        chosen += [(seen, path) for seen, path in nearer if not seen.is_object and search in path.lower()]
        level = nearer
        if not level or len(chosen) > MOST_VARIABLES:
            break
    found.cut_short = len(chosen) > MOST_VARIABLES
    chosen = chosen[:MOST_VARIABLES]
    classes = await browser.readings([seen.node for seen, _ in chosen], AttributeIds.NodeClass)
    variables = [
        one
        for one, kind in zip(chosen, classes, strict=True)
        if kind.Value is not None and kind.Value.Value == ua.NodeClass.Variable
    ]
    values = await browser.values([seen.node for seen, _ in variables])
    for (seen, path), value in zip(variables, values, strict=True):
        found.variables.append(Variable(path, browser.address(seen.node), _shown(value), guess(seen.name, value)))


def guess(name: str, value: object) -> str:
    """The metric that a variable's name suggests, "" when none, or when its value cannot be one."""
    if isinstance(value, (list, tuple, bytes)):
        return ""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return next((metric for pattern, metric in _MEANT if re.search(pattern, spaced)), "")


def _shown(value: Any) -> str:
    value = getattr(value, "Text", value)
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def told_value(sample: Sample | None) -> str:
    """A sample's value as it is shown; "–" for none."""
    if sample is None:
        return "–"
    if sample.quality == Quality.BAD:
        return "(bad)"
    if sample.metric == "state":
        return MachineState(int(sample.value)).name
    metric = METRICS[sample.metric]
    if metric.kind == "word":
        return sample.text
    number = f"{sample.value:g} {metric.unit}".rstrip()
    return f"{number} ({sample.text})" if sample.text else number
