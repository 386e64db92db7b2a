"""Our own certificate: its bytes are what servers trust."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.own_certificate import own_certificate
from collectors.opcua.trust import TrustList
from telemetry.errors import SourceError
from telemetry.health import Component
from tests.collectors.opcua.foreign import foreign
from tests.collectors.opcua.peer import PLANT, config
from tests.contracts.memory import MemorySink


def test_it_is_made_once_whatever_the_machine_is_called_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has another name at each start: the bytes that servers trust stay, and so does what we call
    ourselves."""
    first = own_certificate(tmp_path / "ours")
    held = first.path.read_bytes()
    monkeypatch.setattr(socket, "gethostname", lambda: "4f1c0a9b2d3e")
    again = own_certificate(tmp_path / "ours")
    assert again == first
    assert first.path.read_bytes() == held
    assert "4f1c0a9b2d3e" not in again.uri
    names = x509.load_der_x509_certificate(held).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [first.uri]
    assert first.key.stat().st_mode & 0o077 == 0
    assert first.until - datetime.now(UTC) > timedelta(days=19 * 365)


def test_when_its_time_is_over_it_is_not_made_anew_unasked(tmp_path: Path) -> None:
    """Every server would refuse the new one: it is said, with what to do; and then one is made."""
    first = own_certificate(tmp_path)
    with pytest.raises(SourceError, match=r"own.der expired on .*: delete it"):
        own_certificate(tmp_path, first.until + timedelta(days=1))
    first.path.unlink()
    second = own_certificate(tmp_path)
    assert second.fingerprint != first.fingerprint


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A certificate without its key, a key that is none, a file that is no certificate."""
    made = own_certificate(tmp_path)
    made.key.unlink()
    with pytest.raises(SourceError, match=r"own.key.pem, which is gone"):
        own_certificate(tmp_path)
    made.path.unlink()
    made.key.write_text("no key")
    with pytest.raises(SourceError, match="not a private key in PEM"):
        own_certificate(tmp_path)
    made.key.unlink()
    made.path.write_text("no certificate")
    made.key.write_text("")
    with pytest.raises(SourceError, match="not a certificate"):
        own_certificate(tmp_path)


async def test_a_server_that_does_not_trust_us_is_told_apart_with_what_to_do(tmp_path: Path) -> None:
    """Which file it is to trust, and by what it is known."""
    async with foreign(tmp_path / "server", secured=True, careful=True, machines=False) as server:
        node = {"node": "nsu=urn:km0:foreign;s=Counter", "metric": "parts"}
        settings = config(
            server.port, node, certificates=str(tmp_path / "ours"), url=server.url, security="Basic256Sha256",
            user="km0",
        )  # fmt: skip

        async def refused() -> str:
            with pytest.raises(SourceError) as error:
                await OpcUaCollector(settings, PLANT, Component("x"), password="measure").run(MemorySink())
            return str(error.value)

        said = await refused()
        assert f"--certificates {(tmp_path / 'ours').resolve()}" in said
        trust = TrustList(tmp_path / "ours")
        trust.add(trust.rejected()[0].fingerprint[:16])
        said = await refused()
        assert "does not trust us yet" in said
        assert str((tmp_path / "ours" / "own.der").resolve()) in said
        assert own_certificate(tmp_path / "ours").fingerprint[:16] in said
