"""Signing and encryption of a connection: by our own certificate and the server's."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies, uacrypto
from cryptography.hazmat.primitives.serialization import Encoding

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.own_certificate import OwnCertificate, own_certificate
from collectors.opcua.trust import TrustList, check_validity, read_certificate
from telemetry.errors import ConfigError, SourceError

POLICIES: Final[dict[str, Any]] = {
    "None": security_policies.SecurityPolicyNone,
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
"""By the name in the plant file. Older policies (Basic128Rsa15, Basic256) rest on SHA-1 and are not spoken."""


_REFUSED: Final = (
    ua.uaerrors.BadSecurityChecksFailed,
    ua.uaerrors.BadCertificateUntrusted,
    ua.uaerrors.BadCertificateUriInvalid,
    ua.uaerrors.BadCertificateInvalid,
)


async def secure(client: Client, config: OpcUaConfig) -> OwnCertificate:
    """Prepare a client for the policy of the plant file. Raises SourceError for a server that is not trusted."""
    own = await asyncio.to_thread(own_certificate, config.certificates)
    client.application_uri = own.uri
    server = uacrypto.CertProperties(await _server_certificate(config), "der")
    mode = ua.MessageSecurityMode[config.mode]
    await client.set_security(POLICIES[config.security], own.path, own.key, server_certificate=server, mode=mode)
    return own


@contextlib.contextmanager
def showing(own: OwnCertificate | None, url: str) -> Iterator[None]:
    """While a server looks at our certificate. Raises SourceError that says what to do where it refuses that."""
    try:
        yield
    # The library does not read the fault that some servers answer instead of a channel: it asserts that there is one.
    except (*_REFUSED, AssertionError) as error:
        if own is None:
            raise SourceError(f"{url} opens no channel") from error
        raise SourceError(
            f"{url} does not trust us yet: have it trust {own.path.resolve()} (SHA-256 {own.fingerprint[:16]}…), on "
            "its control or in its folder of rejected certificates; then it goes on by itself"
        ) from error


async def load_user(client: Client, config: OpcUaConfig) -> None:
    """The certificate and key of a user who has these instead of a password. Raises SourceError."""
    assert config.user_key is not None
    try:
        await client.load_client_certificate(str(config.user_certificate))
        await client.load_private_key(config.user_key)
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"certificate or key of the user {config.user_certificate}: {error}") from error


async def _server_certificate(config: OpcUaConfig) -> bytes:
    if config.server_certificate is not None:
        try:
            pinned = read_certificate(config.server_certificate)
        except ConfigError as error:
            raise SourceError(str(error)) from error
        check_validity(pinned, config.url)
        return pinned.public_bytes(Encoding.DER)
    asking = Client(config.url, timeout=config.timeout_ms / 1000)
    endpoints = await asking.connect_and_get_server_endpoints()
    uri, mode = POLICIES[config.security].URI, ua.MessageSecurityMode[config.mode]
    for endpoint in endpoints:
        if endpoint.SecurityPolicyUri == uri and endpoint.SecurityMode == mode and endpoint.ServerCertificate:
            der = first_of_chain(bytes(endpoint.ServerCertificate))
            TrustList(config.certificates).check(der, config.url)
            return der
    offered = sorted({f"{one.SecurityPolicyUri.rpartition('#')[2]} {one.SecurityMode.name}" for one in endpoints})
    raise SourceError(f"{config.url} does not offer {config.security} {config.mode}; it offers: {', '.join(offered)}")


def first_of_chain(der: bytes) -> bytes:
    """A server may show its issuers' certificates after its own; each says its length (DER, two length bytes)."""
    if der[:2] == b"\x30\x82":
        return der[: 4 + int.from_bytes(der[2:4], "big")]
    return der
