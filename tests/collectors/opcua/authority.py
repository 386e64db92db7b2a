"""A plant's own certificate authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """Signs servers' certificates, of any time of validity."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant authority")])
        now = datetime.now(UTC)
        self.certificate = self._signed(self._name, self._key, now - timedelta(days=9), now + timedelta(days=9), [
            (x509.BasicConstraints(ca=True, path_length=None), True)
        ])  # fmt: skip

    def write_server(self, key_file: Path, certificate_file: Path, until: datetime) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:km0:test-server")])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mill")])
        certificate = self._signed(name, key, until - timedelta(days=5), until, [(names, False)])
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        certificate_file.write_bytes(certificate.public_bytes(Encoding.DER))

    def _signed(
        self,
        name: x509.Name,
        key: rsa.RSAPrivateKey,
        since: datetime,
        until: datetime,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number(), since, until)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())
