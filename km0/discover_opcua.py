"""`km0 discover opcua URL`: security, machines, the metrics they would give and their live values."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from km0 import proposal
from km0.console import add_row, out, plain
from km0.proposal import toml
from telemetry.errors import ConfigError
from telemetry.samples import Quality

if TYPE_CHECKING:
    from collectors.opcua.config import OpcUaConfig
    from collectors.opcua.survey import Offer, Survey, Variable
    from telemetry.samples import Sample

_STRONGEST: Final = ("Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep")


def opcua(
    url: Annotated[str, typer.Argument(help="opc.tcp://host:port/path")],
    security: Annotated[str, typer.Option(help="Policy; by default the strongest that the server offers.")] = "",
    certificates: Annotated[Path, typer.Option(help="Folder of our certificate and of those trusted.")] = Path(
        ".km0/opcua"
    ),
    user: Annotated[str, typer.Option(help="User name; without one anonymous.")] = "",
    password_env: proposal.PasswordEnv = "",
    user_certificate: Annotated[
        Path | None, typer.Option(help="Certificate of a user who has one instead of a password; with --user-key.")
    ] = None,
    user_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
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
    who: dict[str, Any] = {"user": user, "password": {"env": password_env} if password_env else None}
    who |= {"user_certificate": user_certificate and str(user_certificate), "user_key": user_key and str(user_key)}
    config = _config(url, chosen, offers, certificates, {key: value for key, value in who.items() if value}, under)
    password = config.password.read() if config.password is not None else None
    found = asyncio.run(survey.look(config, password, search))
    held = proposal.existing(write)
    assets = _assets(found, under, {one.get("path") for one in held.get("plant", {}).get("assets", [])})
    if as_json:
        out.print_json(json.dumps(_as_json(url, offers, chosen, found, [path for path, _ in assets])))
    else:
        _show(found, chosen, search, assets)
    if write is not None:
        collectors = held.get("collectors", [])
        if any(one.get("url") == url for one in collectors):
            raise ConfigError(f"{url} is in {write} already: nothing was written")
        if not assets:
            raise ConfigError(
                f"nothing of {url} is known by its name, so nothing was written: choose nodes from the list above "
                "(docs/opcua.md shows how they are written)"
            )
        proposal.add(write, _section(config, found, assets, {one.get("name") for one in collectors}))
        out.print(f"wrote {write}; next: km0 check {write}", markup=False) if not as_json else None
    elif not as_json and found.machines:
        out.print("\nFor the plant file (--write FILE adds it):\n", markup=False)
        out.print(_section(config, found, assets, set()), markup=False)


def _best(offers: "list[Offer]") -> str:
    offered = {offer.security for offer in offers if offer.spoken}
    return next((name for name in _STRONGEST if name in offered), "None")


def _config(
    url: str, security: str, offers: "list[Offer]", certificates: Path, who: dict[str, Any], under: str
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
        **who,
    }
    if security == "None":
        del section["mode"]
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


def _show(found: "Survey", security: str, search: str, assets: list[tuple[str, str]]) -> None:
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
        if not found.machines and assets:
            out.print(f"--write FILE proposes nodes for those with a guess, as asset {assets[0][0]}.", markup=False)
    elif search or not found.machines:
        out.print("No variables" + (f" with {search!r} in their path." if search else "."), markup=False)


def _slug(text: str) -> str:
    return proposal.slug(text, "machine")


def _guessed(found: "Survey") -> "list[Variable]":
    """Of a server without machines, the variables whose names say what they may be."""
    return [one for one in found.variables if one.guess] if not found.machines else []


def _assets(found: "Survey", under: str, taken: set[Any]) -> list[tuple[str, str]]:
    """Path and name of each asset, apart from those that are there."""
    names = [machine.seen.name for machine, _ in found.machines] or ["Machine"] * bool(_guessed(found))
    return [(proposal.free(f"{under}/{_slug(name)}", taken), name) for name in names]


def _section(config: "OpcUaConfig", found: "Survey", assets: list[tuple[str, str]], taken: set[Any]) -> str:
    """What stands for the server in a plant file: an asset per machine, and the collector, under no name taken."""
    guessed, collector = _guessed(found), proposal.free(config.name, taken)
    lines = []
    for path, name in assets:
        lines += proposal.asset_lines(path, name)
    lines += ["[[collectors]]", 'kind = "opcua"', f"name = {toml(collector)}", f"url = {toml(config.url)}"]
    # a restart of ours then is a break like any other
    lines.append(f"progress = {toml(re.sub(r'[^A-Za-z0-9.-]', '-', collector) + '.progress.json')}")
    lines.append(f"security = {toml(config.security)}")
    if config.security != "None":
        lines += [f"mode = {toml(config.mode)}", f"certificates = {toml(str(config.certificates))}"]
    if config.user is not None:
        lines.append(f"user = {toml(config.user)}")
    if config.password is not None:
        lines.append(f"password = {{ env = {toml(str(config.password.env))} }}")
    if config.user_certificate is not None:
        lines.append(f"user_certificate = {toml(str(config.user_certificate))}")
        lines.append(f"user_key = {toml(str(config.user_key))}")
    if found.machines:
        lines.append("machines = [")
        named = Counter(machine.seen.name for machine, _ in found.machines)
        for (path, _), (machine, _) in zip(assets, found.machines, strict=True):
            which = machine.seen.name if named[machine.seen.name] == 1 else machine.address
            lines.append(f"    {{ asset = {toml(path)}, machine = {toml(which)} }},")
        lines.append("]")
    elif guessed:
        lines.append("nodes = [ # guessed from the variables' names: check each, and say what states mean with `words`")
        told: set[str] = set()
        for one in guessed:
            comment = "# " if one.guess in told else ""
            told.add(one.guess)
            row = f"node = {toml(one.node)}, asset = {toml(assets[0][0])}, metric = {toml(one.guess)}"
            lines.append(f"    {comment}{{ {row} }},")
        lines.append("]")
    return "\n".join(lines) + "\n"


def _known(sample: "Sample | None") -> float | None:
    """A value, where the machine vouches for it."""
    return None if sample is None or sample.quality == Quality.BAD else sample.value


def _as_json(url: str, offers: "list[Offer]", security: str, found: "Survey", assets: list[str]) -> dict[str, Any]:
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
                "asset": asset,
                "metrics": [
                    {
                        "metric": metric.name,
                        "told_by": list(metric.paths),
                        "value": _known(metric.sample),
                        "quality": int(metric.sample.quality) if metric.sample is not None else None,
                        "text": metric.sample.text if metric.sample is not None else "",
                        "time_ns": metric.sample.time_ns if metric.sample is not None else None,
                    }
                    for metric in metrics
                ],
            }
            for asset, (machine, metrics) in zip(assets, found.machines, strict=False)
        ],
        "variables": [
            {"path": one.path, "node": one.node, "value": one.value, "perhaps": one.guess} for one in found.variables
        ],
        "more_variables": found.cut_short,
    }
