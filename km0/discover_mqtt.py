"""`km0 discover mqtt HOST`: listen a while; topics, rates, dialects, samples, and the plant file they would need."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from km0 import proposal
from km0.console import add_row, out, plain
from km0.proposal import slug, toml
from telemetry.config import Secret
from telemetry.errors import ConfigError

if TYPE_CHECKING:
    from collectors.mqtt.survey import Heard


def mqtt(
    host: Annotated[str, typer.Argument(help="Name or address of the broker.")],
    port: Annotated[int, typer.Option(help="Its port.")] = 1883,
    seconds: Annotated[float, typer.Option("--for", min=0.1, help="How long to listen [s].")] = 10.0,
    topic: Annotated[str, typer.Option(help="Filter to listen to.")] = "#",
    user: Annotated[str, typer.Option(help="User name.")] = "",
    password_env: proposal.PasswordEnv = "",
    protocol: Annotated[str, typer.Option(help="MQTT version: 5 or 3.1.1.")] = "5",
    under: Annotated[
        str, typer.Option(help="Where assets go whose topic is no path: site/area/line.")
    ] = "site/area/line",
    write: proposal.Write = None,
    as_json: proposal.AsJson = False,
) -> None:
    """Listen to an MQTT broker: topics, rates, dialects, a sample of each, the metrics they seem to be."""
    from collectors.mqtt import survey
    from collectors.mqtt.connecting import SessionSettings

    if protocol not in ("5", "3.1.1"):
        raise ConfigError(f"--protocol {protocol}: MQTT is spoken in version 5 or 3.1.1")
    settings = SessionSettings(
        host=host,
        port=port,
        client_id=f"km0-discover-{hash((host, port)) & 0xFFFF:x}",
        subscriptions={topic: 0},
        version5=protocol == "5",
        username=user or None,
        password=Secret(env=password_env, file=None).read() if password_env else None,
        tls=None,
        keepalive_s=20,
        expiry_s=0,
        max_in_flight=5000,
        max_in_flight_bytes=32 << 20,
        clean_start=True,
    )
    found = asyncio.run(survey.listen(settings, seconds))
    section = _section(found, host, port, protocol, user, password_env, under, proposal.existing(write))
    if as_json:
        out.print_json(json.dumps([_row(heard, seconds) for heard in found]))
    else:
        _show(found, seconds, survey.MOST_TOPICS)
    if write is not None:
        if not section:
            raise ConfigError("nothing was heard that a plant file could name: nothing is written")
        proposal.add(write, section)
        if not as_json:
            out.print(f"written to {write}; next: km0 check {write}", markup=False)
    elif not as_json and section:
        out.print("For the plant file (--write FILE adds it):\n", markup=False)
        out.print(section, markup=False)


def _row(heard: "Heard", seconds: float) -> dict[str, Any]:
    return {
        "topic": heard.topic,
        "messages": heard.count,
        "per_second": round((heard.count - heard.retained) / seconds, 3),
        "retained": heard.retained,
        "dialect": heard.dialect or "unknown",
        "metrics": heard.metrics,
        "sample": heard.payload[:200].decode("utf-8", "backslashreplace"),
    }


def _show(found: "list[Heard]", seconds: float, most: int) -> None:
    table = Table("topic", "per s", "dialect", "metric", "sample")
    for heard in found:
        row = _row(heard, seconds)
        sample = plain(row["sample"])
        metrics = ", ".join(f"{where or 'last level'} → {metric}" for where, metric in heard.metrics.items())
        rate = f"{row['per_second']:g}" + (" retained" if heard.retained else "")
        add_row(
            table, heard.topic, rate, row["dialect"], metrics or "?", sample[:60] + ("…" if len(sample) > 60 else "")
        )
    out.print(table)
    if len(found) >= most:
        out.print(f"Only the first {most} topics were looked at; --topic narrows the look.", markup=False)
    if not found:
        out.print(
            f"Nothing was said in {seconds:g} s. Longer: --for 60; and may this user read? --user, --password-env.",
            markup=False,
        )


def _section(
    found: "list[Heard]",
    host: str,
    port: int,
    protocol: str,
    user: str,
    password_env: str,
    under: str,
    existing: dict[str, Any],
) -> str:
    """Assets and collectors, without those that the plant file has."""
    from collectors.mqtt.survey import entries

    topics = entries(found, under)
    sparkplug = sorted({heard.topic.split("/")[1] for heard in found if heard.dialect == "sparkplug"} - {"STATE"})
    assets = list(dict.fromkeys(path for one in topics for path in one.get("assets", {"": one.get("asset")}).values()))
    if sparkplug:
        assets.append(f"{under}/sparkplug-device")
    here = {asset.get("path") for asset in existing.get("plant", {}).get("assets", [])}
    lines: list[str] = []
    for path in assets:
        if path not in here:
            lines += proposal.asset_lines(path, path.rsplit("/", 1)[-1])
    taken = {collector.get("name", collector.get("kind")) for collector in existing.get("collectors", [])}
    common = [f"host = {toml(host)}", f"port = {port}"]
    common += [f"protocol = {toml(protocol)}"] if protocol != "5" else []
    common += [f"username = {toml(user)}"] if user else []
    common += [f"password = {{ env = {toml(password_env)} }}"] if password_env else []
    if topics:
        lines += [
            "[[collectors]]",
            'kind = "mqtt"',
            f"name = {toml(proposal.free(slug(host, 'broker'), taken))}",
            *common,
            "",
        ]
        for entry in topics:
            lines.append("[[collectors.topics]] # guessed: check metrics, units and what the words of states mean")
            lines += [f"{key} = {toml(value)}" for key, value in entry.items() if value not in ({}, [])]
            lines.append("")
    if sparkplug:
        name = proposal.free(f"{slug(host, 'broker')}-sparkplug", taken)
        lines += ["[[collectors]] # a Sparkplug host needs a connection of its own", 'kind = "mqtt"']
        lines += [f"name = {toml(name)}", *common, "", "[[collectors.topics]]", 'dialect = "sparkplug"']
        lines += ['host_id = "km0"', f'# groups heard: {", ".join(sparkplug)}; names = {{ "Their Name" = "parts" }}']
        lines.append(f"asset = {toml(assets[-1])} # or with {{group}}, {{edge}}, {{device}}")
    return "\n".join(lines).rstrip() + "\n" if lines else ""
