"""`km0 discover opcua URL`: security, machines, the metrics they would give and their live values."""

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from km0 import proposal
from km0.console import add_row, out, plain
from km0.proposal import toml
from telemetry.errors import ConfigError

if TYPE_CHECKING:
    from collectors.opcua.config import OpcUaConfig
    from collectors.opcua.survey import Offer, Survey

_STRONGEST: Final = ("Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep")


def opcua(
    url: Annotated[str, typer.Argument(help="opc.tcp://host:port/path")],
    security: Annotated[str, typer.Option(help="Policy; by default the strongest that the server offers.")] = "",
    certificates: Annotated[Path, typer.Option(help="Folder of our certificate and of those trusted.")] = Path(
        ".km0/opcua"
    ),
    user: Annotated[str, typer.Option(help="User name; without one anonymous.")] = "",
    password_env: proposal.PasswordEnv = "",
    search: Annotated[str, typer.Option(help="Also list the variables whose path contains this.")] = "",
    under: Annotated[
        str, typer.Option(help="Where found machines go in the plant: site/area/line.")
    ] = "site/area/line",
    write: proposal.Write = None,
    as_json: proposal.AsJson = False,
) -> None:
    """Look at an OPC UA server: endpoints and security, machines found, metrics they would give, live values."""
    try:
        from collectors.opcua import survey  # asyncua only where it is used
    except ImportError as error:
        raise ConfigError(f"OPC UA is not installed ({error.name}): pip install 'km0-telemetry[opcua]'") from error
    offers = asyncio.run(survey.offers(url, 5.0))
    if not as_json:
        out.print(_endpoints(offers))
    chosen = security or _best(offers)
    config = _config(url, chosen, offers, certificates, user, password_env, under)
    password = config.password.read() if config.password is not None else None
    found = asyncio.run(survey.look(config, password, search))
    section = _section(config, found, under)
    if as_json:
        out.print_json(json.dumps(_as_json(url, offers, chosen, found, under)))
    else:
        _show(found, chosen, search, under)
    if write is not None:
        proposal.add(write, section)
        out.print(f"wrote {write}; next: km0 check {write}", markup=False) if not as_json else None
    elif not as_json and found.machines:
        out.print("\nFor the plant file (--write FILE adds it):\n", markup=False)
        out.print(section, markup=False)


def _best(offers: "list[Offer]") -> str:
    offered = {offer.security for offer in offers if offer.spoken}
    return next((name for name in _STRONGEST if name in offered), "None")


def _config(
    url: str, security: str, offers: "list[Offer]", certificates: Path, user: str, password_env: str, under: str
) -> "OpcUaConfig":
    from pydantic import ValidationError

    from collectors.opcua.config import OpcUaConfig

    modes = {offer.mode for offer in offers if offer.security == security}
    section: dict[str, Any] = {
        "kind": "opcua",
        "name": _slug(re.sub(r"^opc\.tcp://", "", url)),
        "url": url,
        "security": security,
        "mode": "SignAndEncrypt" if "SignAndEncrypt" in modes or not modes else "Sign",
        "certificates": str(certificates),
        "machines": [{"asset": f"{under}/machine"}],
    }
    if security == "None":
        del section["mode"]
    if user:
        section["user"] = user
    if password_env:
        section["password"] = {"env": password_env}
    try:
        return OpcUaConfig.model_validate_json(json.dumps(section))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"km0 discover opcua: {faults}") from error


def _endpoints(offers: "list[Offer]") -> Table:
    table = Table("security", "mode", "users", "server certificate (SHA-256)", title="endpoints")
    for offer in offers:
        name = offer.security if offer.spoken else f"{offer.security} (too weak: not spoken)"
        add_row(
            table, name, offer.mode, ", ".join(offer.users), offer.fingerprint[:16] and f"{offer.fingerprint[:16]}…"
        )
    return table


def _show(found: "Survey", security: str, search: str, under: str) -> None:
    from collectors.opcua.survey import told_value

    if security == "None":
        out.print("This session is neither signed nor secret.", markup=False)
    for machine, metrics in found.machines:
        plate = ", ".join(f"{name} {text}" for name, text in machine.nameplate.items())
        title = f"{machine.seen.name} · {machine.specification} · {plate or 'no nameplate'}"
        table = Table(
            "metric", "now", Column("told by", overflow="fold"), title=Text(plain(title)), title_justify="left"
        )
        for metric in metrics:
            add_row(table, metric.name, told_value(metric.sample), "\n".join(metric.paths))
        out.print(table)
        for path in machine.left_out:
            out.print(f"  left out, another node tells it already: {plain(path)}", markup=False)
    if not found.machines:
        out.print(
            "No machine of Machinery, MachineTool or PackML here. Variables, and what they may mean:", markup=False
        )
    if found.variables:
        # folded, never cut short: they are copied into plant files
        table = Table(Column("path", overflow="fold"), "now", "perhaps", Column("node", overflow="fold"))
        for variable in found.variables:
            add_row(table, variable.path, variable.value, variable.guess, variable.node)
        out.print(table)
        if found.cut_short:
            out.print("There are more: narrow them down with --search.", markup=False)
        if not found.machines:
            out.print(f"--write FILE proposes nodes for those with a guess, as asset {under}/machine.", markup=False)
    elif search or not found.machines:
        out.print("No variables" + (f" with {search!r} in their path." if search else "."), markup=False)


def _slug(text: str) -> str:
    return proposal.slug(text, "machine")


def _section(config: "OpcUaConfig", found: "Survey", under: str) -> str:
    """What stands for the server in a plant file: an asset per machine, and the collector."""
    assets = [(f"{under}/{_slug(machine.seen.name)}", machine.seen.name) for machine, _ in found.machines]
    guessed = [one for one in found.variables if one.guess] if not found.machines else []
    if guessed:
        assets = [(f"{under}/machine", "Machine")]
    lines = []
    for path, name in assets:
        lines += proposal.asset_lines(path, name)
    lines += ["[[collectors]]", 'kind = "opcua"', f"name = {toml(config.name)}", f"url = {toml(config.url)}"]
    # a restart of ours then is a break like any other
    lines.append(f"progress = {toml(re.sub(r'[^A-Za-z0-9.-]', '-', config.name) + '.progress.json')}")
    lines.append(f"security = {toml(config.security)}")
    if config.security != "None":
        lines += [f"mode = {toml(config.mode)}", f"certificates = {toml(str(config.certificates))}"]
    if config.user is not None:
        lines.append(f"user = {toml(config.user)}")
    if config.password is not None:
        lines.append(f"password = {{ env = {toml(str(config.password.env))} }}")
    if found.machines:
        lines.append("machines = [")
        for (path, _), (machine, _) in zip(assets, found.machines, strict=True):
            lines.append(f"    {{ asset = {toml(path)}, machine = {toml(machine.seen.name)} }},")
        lines.append("]")
    elif guessed:
        lines.append("nodes = [ # guessed from the variables' names: check each, and say what states mean with `words`")
        taken: set[str] = set()
        for one in guessed:
            comment = "# " if one.guess in taken else ""
            taken.add(one.guess)
            row = f"node = {toml(one.node)}, asset = {toml(assets[0][0])}, metric = {toml(one.guess)}"
            lines.append(f"    {comment}{{ {row} }},")
        lines.append("]")
    return "\n".join(lines) + "\n"


def _as_json(url: str, offers: "list[Offer]", security: str, found: "Survey", under: str) -> dict[str, Any]:
    return {
        "url": url,
        "security": security,
        "endpoints": [
            {
                "security": offer.security,
                "mode": offer.mode,
                "spoken": offer.spoken,
                "users": list(offer.users),
                "fingerprint": offer.fingerprint,
                "subject": offer.subject,
            }
            for offer in offers
        ],
        "machines": [
            {
                "name": machine.seen.name,
                "node": machine.address,
                "specification": machine.specification,
                "nameplate": machine.nameplate,
                "asset": f"{under}/{_slug(machine.seen.name)}",
                "metrics": [
                    {
                        "metric": metric.name,
                        "told_by": list(metric.paths),
                        "value": metric.sample.value if metric.sample is not None else None,
                        "text": metric.sample.text if metric.sample is not None else "",
                        "time_ns": metric.sample.time_ns if metric.sample is not None else None,
                    }
                    for metric in metrics
                ],
            }
            for machine, metrics in found.machines
        ],
        "variables": [
            {"path": one.path, "node": one.node, "value": one.value, "perhaps": one.guess} for one in found.variables
        ],
        "more_variables": found.cut_short,
    }
