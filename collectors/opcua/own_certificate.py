"""Our own certificate and key: made on first use, and then the servers' to trust.

Invariant: what servers were told to trust, byte by byte, is never made anew unasked: not when the machine gets another
name (a container has a new one at each start), nor when its time is over, which is said instead.
"""

import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from asyncua.crypto.cert_gen import (
    dump_private_key_as_pem,
    generate_private_key,
    generate_self_signed_app_certificate,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from collectors.opcua.trust import Entry, read_certificate
from telemetry.errors import ConfigError, SourceError

DAYS: Final = 7300
"""For how long it is made [d]: nobody renews it on a machine's control, and every server would have to be told."""

_MAKING: Final = threading.Lock()
"""Two collectors that start at once share one."""


def application_uri() -> str:
    """What we call ourselves where we have no certificate yet."""
    return f"urn:{socket.gethostname()}:km0-telemetry"


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """Where they lie. A server may compare `uri`, which the certificate bears, with what the session says."""

    key: Path
    path: Path
    uri: str
    fingerprint: str
    until: datetime


def own_certificate(folder: Path, now: datetime | None = None) -> OwnCertificate:
    """What lies in the folder, made when nothing does. Raises SourceError that says what to do."""
    key, path = folder / "own.key.pem", folder / "own.der"
    try:
        with _MAKING:
            if not path.exists():
                _make(key, path)
            elif not key.exists():
                raise SourceError(
                    f"{path} is of no use without its key {key}, which is gone: bring it back, or delete {path.name} "
                    "too; then a new pair is made at the next connection, and the servers have to trust the new one"
                )
        entry = Entry(path, read_certificate(path))
    except (OSError, ConfigError) as error:
        raise SourceError(f"our own certificate cannot be had: {error}") from error
    if (now or datetime.now(UTC)) > entry.until:
        raise SourceError(
            f"our own certificate {path} expired on {entry.until:%Y-%m-%d}: delete it; a new one is made at the next "
            "connection, and the servers have to trust that"
        )
    return OwnCertificate(key, path, entry.application or application_uri(), entry.fingerprint, entry.until)


def _make(key: Path, path: Path) -> None:
    key.parent.mkdir(parents=True, exist_ok=True)
    if key.exists():
        pair = _loaded(key)
    else:
        pair = generate_private_key()
        _written(key, dump_private_key_as_pem(pair))
    uri = application_uri()
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName(socket.gethostname())]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    made = generate_self_signed_app_certificate(pair, uri, {}, names, extended=uses, days=DAYS)
    _written(path, made.public_bytes(Encoding.DER))


def _loaded(key: Path) -> RSAPrivateKey:
    try:
        pair = load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise SourceError(f"{key} is not a private key in PEM without a password: {error}") from error
    if not isinstance(pair, RSAPrivateKey):
        raise SourceError(f"{key} is not an RSA key, which OPC UA asks for: delete it, and another is made")
    return pair


def _written(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by us alone."""
    beside = path.with_name(f"{path.name}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    os.replace(beside, path)
