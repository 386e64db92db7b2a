"""Which servers are trusted: a folder of certificates, and one where the others are set aside until somebody decides.

Invariants:
- a certificate is trusted when its very bytes lie in `trusted`, or when a certificate in `trusted` signed it;
- outside its time of validity it is refused, trusted or not;
- what is refused is kept in `rejected`, at most MOST_REJECTED of them: the network writes there.
"""

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from telemetry.errors import ConfigError, SourceError

MOST_REJECTED: Final = 100
"""Certificates kept in `rejected`; of more, the oldest go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate of the list. `fingerprint` is the SHA-256 of its bytes, in hexadecimal."""

    path: Path
    certificate: x509.Certificate

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate.public_bytes(Encoding.DER))

    @property
    def subject(self) -> str:
        return self.certificate.subject.rfc4514_string() or "(no subject)"

    @property
    def application(self) -> str:
        """The URI of the application it was made for, "" when it names none."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return ""
        return next((str(uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)), "")

    @property
    def until(self) -> datetime:
        return self.certificate.not_valid_after_utc


def fingerprint(der: bytes) -> str:
    """The name that a certificate goes by here."""
    return hashlib.sha256(der).hexdigest()


def read_certificate(path: Path) -> x509.Certificate:
    """A certificate in DER or PEM. Raises ConfigError when the file is none."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        return x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)
    except ValueError as error:
        raise ConfigError(f"{path} is not a certificate in DER or PEM: {error}") from error


class TrustList:
    """The folders `trusted` and `rejected` beside our own certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self._trusted: Final = folder / "trusted"
        self._rejected: Final = folder / "rejected"

    def trusted(self) -> list[Entry]:
        """What is trusted. Raises ConfigError for a file that is no certificate: it would be trusted by mistake."""
        return list(_entries(self._trusted))

    def rejected(self) -> list[Entry]:
        """What was refused and waits for a decision."""
        return list(_entries(self._rejected))

    def check(self, der: bytes, server: str, now: datetime | None = None) -> None:
        """Return when the certificate that `server` showed is trusted. Raises SourceError that says what to do."""
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError as error:
            raise SourceError(f"{server} shows something that is not a certificate: {error}") from error
        check_validity(certificate, server, now)
        try:
            trusted = self.trusted()
        except ConfigError as error:  # a file dropped there while we run stops one source, not the process
            raise SourceError(str(error)) from error
        if any(_vouches(entry.certificate, certificate) for entry in trusted):
            return
        self._set_aside(der)
        raise SourceError(
            f"the certificate of {server} ({certificate.subject.rfc4514_string()}) is not trusted yet: compare its "
            f"fingerprint with the server's own, then: km0 opcua trust add {fingerprint(der)[:16]} --certificates "
            f"{shlex.quote(str(self._folder.resolve()))}"
        )

    def add(self, which: str) -> Entry:
        """Trust a certificate: a rejected one by the beginning of its fingerprint, or one from a file."""
        path = Path(which)
        found = [entry for entry in self.rejected() if entry.fingerprint.startswith(which.lower())]
        if not found and path.exists():
            found = [Entry(path, read_certificate(path))]
        entry = _only(found, which, "rejected")
        der = entry.certificate.public_bytes(Encoding.DER)
        self._trusted.mkdir(parents=True, exist_ok=True)
        target = self._trusted / f"{entry.fingerprint}.der"
        target.write_bytes(der)
        (self._rejected / target.name).unlink(missing_ok=True)
        return Entry(target, entry.certificate)

    def remove(self, which: str) -> Entry:
        """Trust a certificate no longer; it is set aside with the rejected ones."""
        entry = _only([one for one in self.trusted() if one.fingerprint.startswith(which.lower())], which, "trusted")
        self._set_aside(entry.certificate.public_bytes(Encoding.DER))
        entry.path.unlink()
        return entry

    def _set_aside(self, der: bytes) -> None:
        self._rejected.mkdir(parents=True, exist_ok=True)
        (self._rejected / f"{fingerprint(der)}.der").write_bytes(der)
        kept = sorted(self._rejected.glob("*.der"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-MOST_REJECTED]:
            path.unlink(missing_ok=True)


def check_validity(certificate: x509.Certificate, server: str, now: datetime | None = None) -> None:
    """Raises SourceError for a certificate outside its time."""
    at = now or datetime.now(UTC)
    if at > certificate.not_valid_after_utc:
        raise SourceError(
            f"the certificate of {server} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: "
            "renew it on the server"
        )
    if at < certificate.not_valid_before_utc:
        raise SourceError(
            f"the certificate of {server} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: "
            "is our clock, or the clock it was made with, wrong?"
        )


def _vouches(trusted: x509.Certificate, shown: x509.Certificate) -> bool:
    if trusted == shown:
        return True
    try:
        authority = trusted.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        shown.verify_directly_issued_by(trusted)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return authority


def _entries(folder: Path) -> Iterator[Entry]:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix in (".der", ".pem", ".crt", ".cer"):
                yield Entry(path, read_certificate(path))


def _only(found: list[Entry], which: str, where: str) -> Entry:
    if len(found) == 1:
        return found[0]
    problem = "several" if found else "no"
    raise ConfigError(f"{problem} {where} certificates begin with {which!r}: km0 opcua trust list shows them")
