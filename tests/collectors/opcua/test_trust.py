"""Whom we talk to: certificates set aside until somebody decides, authorities, validity."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from collectors.opcua.trust import MOST_REJECTED, TrustList, fingerprint
from km0.opcua import app
from telemetry.errors import ConfigError, SourceError


def made(authority: trustme.CA, **settings: datetime) -> bytes:
    pem = authority.issue_cert("server.test", **settings).cert_chain_pems[0].bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_an_unknown_certificate_is_set_aside_and_trusted_once_somebody_says_so(tmp_path: Path) -> None:
    """The sentence says the command; after it the same bytes pass, and no others."""
    shown, other = made(trustme.CA()), made(trustme.CA())
    trust = TrustList(tmp_path)
    with pytest.raises(SourceError, match=f"km0 opcua trust add {fingerprint(shown)[:16]}"):
        trust.check(shown, "opc.tcp://mill")
    runner = CliRunner()
    folder = ["--certificates", str(tmp_path)]
    listed = runner.invoke(app, ["trust", "list", *folder], env={"COLUMNS": "200"})
    assert "rejected" in listed.output
    assert runner.invoke(app, ["trust", "add", fingerprint(shown)[:16], *folder]).exit_code == 0
    trust.check(shown, "opc.tcp://mill")
    with pytest.raises(SourceError, match="not trusted"):
        trust.check(other, "opc.tcp://mill")
    assert [entry.fingerprint for entry in trust.rejected()] == [fingerprint(other)]
    assert runner.invoke(app, ["trust", "remove", fingerprint(shown)[:16], *folder]).exit_code == 0
    with pytest.raises(SourceError, match="not trusted"):
        trust.check(shown, "opc.tcp://mill")


def test_what_a_trusted_authority_signed_is_trusted(tmp_path: Path) -> None:
    """A server that renews its certificate with the same authority needs no new decision."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    trust = TrustList(tmp_path)
    trust.add(str(tmp_path / "authority.pem"))
    trust.check(made(authority), "opc.tcp://mill")
    trust.check(made(authority), "opc.tcp://mill")
    with pytest.raises(SourceError, match="not trusted"):
        trust.check(made(stranger), "opc.tcp://mill")


def test_a_trusted_server_certificate_vouches_for_nothing_else(tmp_path: Path) -> None:
    """Only an authority's certificate does: one stolen server key must not make others."""
    authority = trustme.CA()
    leaf = authority.issue_cert("server.test")
    (tmp_path / "leaf.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    trust = TrustList(tmp_path)
    trust.add(str(tmp_path / "leaf.pem"))
    with pytest.raises(SourceError, match="not trusted"):
        trust.check(made(authority), "opc.tcp://mill")


def test_outside_its_time_even_a_trusted_certificate_is_refused(tmp_path: Path) -> None:
    """Expired: renew it; not yet valid: look at the clocks."""
    now = datetime.now(UTC)
    shown = made(trustme.CA(), not_before=now - timedelta(days=2), not_after=now + timedelta(days=2))
    (tmp_path / "server.der").write_bytes(shown)
    trust = TrustList(tmp_path)
    trust.add(str(tmp_path / "server.der"))
    trust.check(shown, "opc.tcp://mill", now)
    with pytest.raises(SourceError, match="expired on"):
        trust.check(shown, "opc.tcp://mill", now + timedelta(days=3))
    with pytest.raises(SourceError, match="clock"):
        trust.check(shown, "opc.tcp://mill", now - timedelta(days=3))


def test_a_network_cannot_fill_the_disk_with_certificates(tmp_path: Path) -> None:
    """Of the refused only the newest are kept."""
    authority = trustme.CA()
    (tmp_path / "rejected").mkdir()
    for number in range(MOST_REJECTED + 5):
        old = tmp_path / "rejected" / f"{number}.der"
        old.write_bytes(b"")
        os.utime(old, (number, number))
    with pytest.raises(SourceError, match="not trusted"):
        TrustList(tmp_path).check(made(authority), "opc.tcp://mill")
    assert len(list((tmp_path / "rejected").iterdir())) == MOST_REJECTED


def test_garbage_is_neither_a_certificate_nor_trusted(tmp_path: Path) -> None:
    """A server that shows garbage is refused; a file of garbage among the trusted stops with its name."""
    trust = TrustList(tmp_path)
    with pytest.raises(SourceError, match="not a certificate"):
        trust.check(b"\x30\x82garbage", "opc.tcp://mill")
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "x.der").write_bytes(b"garbage")
    with pytest.raises(ConfigError, match=r"x\.der is not a certificate"):
        trust.trusted()
    with pytest.raises(ConfigError, match="no rejected certificates begin with 'abc'"):
        trust.add("abc")
