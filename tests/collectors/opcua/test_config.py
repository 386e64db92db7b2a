"""What a user can get wrong in the section of an OPC UA server, and what they are told."""

from typing import Any

import pytest
from pydantic import ValidationError

from collectors.opcua import OpcUaConfig
from collectors.opcua.address import NodeAddress, parse
from telemetry.errors import ConfigError
from telemetry.health import Health
from telemetry.plant import Plant
from tests.collectors.opcua.peer import MILL, PLANT, config


@pytest.mark.parametrize(
    ("text", "uri", "kind", "identifier"),
    [
        ("nsu=urn:a:b;s=Spindle/Load", "urn:a:b", "s", "Spindle/Load"),
        ("nsu=http://x.org/UA/;i=1042", "http://x.org/UA/", "i", "1042"),
        ("i=2258", "http://opcfoundation.org/UA/", "i", "2258"),
        ("nsu=urn:a;s=with;semicolon=and more", "urn:a", "s", "with;semicolon=and more"),
        ("nsu=urn:a%3Bb%25;s=x", "urn:a;b%", "s", "x"),
        ("nsu=urn:a;g=09087e75-8e5e-499b-954f-f2a9603db28a", "urn:a", "g", "09087e75-8e5e-499b-954f-f2a9603db28a"),
    ],
)
def test_addresses(text: str, uri: str, kind: str, identifier: str) -> None:
    """The forms of OPC 10000-6, 5.1.12, with the namespace by URI."""
    assert parse(text) == NodeAddress(uri, kind, identifier)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ns=3;s=Load", "by index, which changes"),
        ("ns=0;i=2258", "by index, which changes"),
        ("Spindle/Load", "is not a node; write"),
        ("nsu=urn:a;i=load", "a number below"),
        ("nsu=urn:a;i=4294967296", "a number below"),
        ("nsu=urn:a;g=12", "a GUID"),
        ("nsu=urn:a;s=", "is not a node"),
    ],
)
def test_a_wrong_address_says_how_to_write_it(text: str, advice: str) -> None:
    """An index is refused by name, since a server that restarts may number its namespaces anew."""
    with pytest.raises(ValueError, match=advice):
        parse(text)


@pytest.mark.parametrize(
    "url", ["opc.tcp://[::1:4840", "opc.tcp://plc:99999", "opc.tcp://plc..local:4840", "opc.tcp:///a"]
)
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    """A bracket too few ended the process, and every collector in it, when the first connection was made."""
    with pytest.raises(ValidationError, match="is no address of a server"):
        OpcUaConfig.model_validate({"kind": "opcua", "name": "x", "url": url, "nodes": config(4840).nodes})
    for right in ("opc.tcp://plc", "opc.tcp://[::1]:4840/x", "opc.tcp://usine.été.fr:4840"):
        OpcUaConfig.model_validate({"kind": "opcua", "name": "x", "url": right, "nodes": config(4840).nodes})


def test_the_index_is_looked_up() -> None:
    """The same address has another index in another session, or none."""
    address = parse("nsu=urn:b;s=x")
    assert address.within(["urn:ua", "urn:b"]) == "ns=1;s=x"
    assert address.within(["urn:ua", "urn:a", "urn:b"]) == "ns=2;s=x"
    assert address.within(["urn:ua"]) is None


NODE = {"node": "nsu=urn:a;s=x", "metric": "power"}


@pytest.mark.parametrize(
    ("settings", "node", "advice"),
    [
        ({"user_key": "key.pem"}, NODE, "belong together"),
        ({"user_key": "key.pem", "user_certificate": "user.der"}, NODE, "proves nothing without security"),
        ({"password": {"env": "P"}}, NODE, "a password needs a user"),
        ({"keepalive_ms": 30_000, "lifetime_ms": 60_000}, NODE, "at least three times keepalive_ms"),
        ({"url": "http://host"}, NODE, "url"),
        ({"publishing_ms": "fast"}, NODE, "publishing_ms"),
        ({"history_s": 1e300}, NODE, "history_s"),
        ({"machines": [{"asset": MILL, "machine": name} for name in ("Mill", "Press")]}, NODE, "two machines are"),
        ({}, {**NODE, "metric": "spindel_load"}, "did you mean 'spindle_load'"),
        ({}, {**NODE, "node": "ns=2;s=x"}, "by index"),
        ({}, {**NODE, "metric": "state", "words": {"RUN": "RUNNING"}}, "state takes NOT_AVAILABLE"),
        ({}, {**NODE, "words": {"off": "zero"}}, "power takes a number"),
        ({}, {**NODE, "scal": 2}, "scal"),
    ],
)
def test_a_wrong_section_is_refused_with_advice(settings: dict[str, Any], node: dict[str, Any], advice: str) -> None:
    """Each mistake has its sentence."""
    with pytest.raises(ValidationError, match=advice):
        config(4840, node, **settings)


def test_two_nodes_for_one_metric_are_refused() -> None:
    """Their samples would be one another's redelivery."""
    with pytest.raises(ValidationError, match="comes from two nodes"):
        config(4840, NODE, {**NODE, "node": "nsu=urn:a;s=y"})


def test_security_is_the_default() -> None:
    """No security only where somebody wrote "None"."""
    plain = type(config(4840)).model_validate(
        {"kind": "opcua", "name": "x", "url": "opc.tcp://h:1", "nodes": config(4840).nodes}
    )
    assert (plain.security, plain.mode) == ("Basic256Sha256", "SignAndEncrypt")


def test_build_names_an_unknown_asset_and_a_missing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the whole plant file can show wrong is found when the collector is built."""
    with pytest.raises(ConfigError, match=rf"unknown asset {MILL!r}"):
        config(4840).build(Plant(), Health())
    monkeypatch.delenv("MILL_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="MILL_PASSWORD is not set"):
        config(4840, user="km0", password={"env": "MILL_PASSWORD"}).build(PLANT, Health())
    collector = config(4840).build(PLANT, Health())
    assert collector.name == "mill"
