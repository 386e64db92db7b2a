"""Signed and encrypted sessions, with the server's certificate pinned and a user who has a password."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.trust import TrustList
from telemetry.errors import SourceError
from telemetry.health import Component, Condition
from tests.collectors.opcua.authority import Authority
from tests.collectors.opcua.foreign import foreign
from tests.collectors.opcua.peer import METRICS, PLANT, config, peer
from tests.collectors.opcua.running import collecting
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

POLICIES = [
    ("Basic256Sha256", "SignAndEncrypt"),
    ("Basic256Sha256", "Sign"),
    ("Aes128_Sha256_RsaOaep", "SignAndEncrypt"),
    ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
]


@pytest.mark.parametrize(("policy", "mode"), POLICIES)
async def test_values_arrive_over_a_secure_channel(tmp_path: Path, policy: str, mode: str) -> None:
    """Our certificate and key are made on first use; the key is for us alone."""
    files = {"certificate": str(tmp_path / "server.der"), "key": str(tmp_path / "server.pem")}
    sink = MemorySink()
    async with peer(**files) as server:
        settings = config(
            server.port,
            security=policy,
            mode=mode,
            server_certificate=files["certificate"],
            certificates=str(tmp_path / "ours"),
            user="km0",
            password={"file": str(tmp_path / "password")},
        )
        collector = OpcUaCollector(settings, PLANT, Component("mill"), password="measure")
        run = asyncio.create_task(collector.run(sink))
        try:
            await sink.until(samples=len(METRICS))
            await server.write(("power", 230.5, 5))
            await sink.until(samples=len(METRICS) + 1)
        finally:
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run
    assert sink.samples[-1].value == 230.5
    assert (tmp_path / "ours" / "own.key.pem").stat().st_mode & 0o077 == 0


async def test_a_wrong_password_and_a_foreign_certificate_are_refused(tmp_path: Path) -> None:
    """A server that is not the pinned one is not talked to; a refused user is said to be refused."""
    files = {"certificate": str(tmp_path / "server.der"), "key": str(tmp_path / "server.pem")}
    foreign = tmp_path / "foreign.der"
    await setup_self_signed_certificate(tmp_path / "foreign.pem", foreign, "urn:foreign", "foreign", [], {})
    async with peer(**files) as server:
        ours = {"security": "Basic256Sha256", "certificates": str(tmp_path / "ours"), "user": "km0", "timeout_ms": 1000}
        wrong_password = config(server.port, **ours, server_certificate=files["certificate"])
        with pytest.raises(SourceError, match="BadUserAccessDenied"):
            await OpcUaCollector(wrong_password, PLANT, Component("mill"), password="guess").run(MemorySink())
        wrong_server = config(server.port, **ours, server_certificate=str(foreign))
        with pytest.raises(SourceError):
            await OpcUaCollector(wrong_server, PLANT, Component("mill"), password="measure").run(MemorySink())


async def test_a_server_is_trusted_by_decision_and_an_expired_one_when_it_was_renewed(tmp_path: Path) -> None:
    """Not trusted, then expired, then renewed by an authority that is trusted: each is said, and data flows at last."""
    authority, stranger = Authority(), Authority()
    files = {"certificate": str(tmp_path / "server.der"), "key": str(tmp_path / "server.pem")}
    key_file, certificate_file = tmp_path / "server.pem", tmp_path / "server.der"
    ours = tmp_path / "ours"
    (ours / "trusted").mkdir(parents=True)
    (ours / "trusted" / "plant.der").write_bytes(authority.certificate.public_bytes(Encoding.DER))
    now = datetime.now(UTC)
    stranger.write_server(key_file, certificate_file, now + timedelta(days=1))
    sink = MemorySink()
    async with peer(**files) as server:
        settings = config(server.port, security="Basic256Sha256", certificates=str(ours), user="km0")
        async with collecting(settings, sink, password="measure") as component:
            await until(lambda: "is not trusted yet" in component.snapshot()["detail"])
            assert len(TrustList(ours).rejected()) == 1
            await server.kill()
            authority.write_server(key_file, certificate_file, now - timedelta(minutes=1))
            await server.start()
            await until(lambda: "expired on" in component.snapshot()["detail"])
            await server.kill()
            authority.write_server(key_file, certificate_file, now + timedelta(days=1))
            await server.start()
            await until(lambda: component.condition is Condition.OK)
            await server.write(("power", 7.0, 1))
            await until(lambda: any(sample.value == 7.0 for sample in sink.samples))


async def test_a_policy_that_the_server_does_not_offer_is_said_with_those_it_does(tmp_path: Path) -> None:
    """Nobody has to guess what to write in the plant file."""
    async with peer() as server:
        settings = config(server.port, security="Basic256Sha256", certificates=str(tmp_path))
        with pytest.raises(SourceError, match="it offers: None None"):
            await OpcUaCollector(settings, PLANT, Component("mill")).run(MemorySink())


async def user_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "user.key.pem", folder / "user.der"
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    await setup_self_signed_certificate(key, certificate, "urn:km0:user", "user", uses, {"commonName": "Ada"})
    return certificate, key


async def test_secured_foreign_servers_with_passwords_and_certificates(tmp_path: Path) -> None:
    """Every policy, both kinds of user, against a server that shares no code with ours; first trusted by decision."""
    async with foreign(tmp_path / "server", secured=True, machines=False) as server:
        node = {"node": "nsu=urn:km0:foreign;s=Counter", "metric": "parts"}
        ours = {"certificates": str(tmp_path / "ours"), "url": server.url}
        unknown = config(server.port, node, **ours, security="Basic256Sha256", user="km0")
        with pytest.raises(SourceError, match="km0 opcua trust add"):
            await OpcUaCollector(unknown, PLANT, Component("x"), password="measure").run(MemorySink())
        trust = TrustList(tmp_path / "ours")
        trust.add(trust.rejected()[0].fingerprint[:16])
        certificate, key = await user_certificate(tmp_path)
        users = [{"user": "km0"}, {"user_certificate": str(certificate), "user_key": str(key)}]
        password, proof = users
        for policy, user in (
            ("Basic256Sha256", password),
            ("Aes128_Sha256_RsaOaep", password),
            ("Aes256_Sha256_RsaPss", password),
            ("Basic256Sha256", proof),
        ):
            sink, word = MemorySink(), "measure" if "user" in user else None
            async with collecting(config(server.port, node, **ours, **user, security=policy), sink, password=word):
                await sink.until(samples=1)
