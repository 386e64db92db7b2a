"""How strict a simulated OPC UA server is: what it encrypts, and how much it takes in one request.

asyncua publishes operation limits and enforces none; a server of ours that states one refuses what is beyond it, with
the service fault of the specification (OPC 10000-5, 6.3.11; 10000-4, 5.11.2: BadTooManyOperations).
"""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from asyncua import ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from cryptography.x509.oid import ExtendedKeyUsageOID

URI: Final = "urn:km0:simulators:server"
_LIMITED: Final = {"read": "NodesToRead", "browse": "NodesToBrowse", "history_read": "NodesToRead",
                   "create_monitored_items": "ItemsToCreate"}  # fmt: skip
_STATED: Final = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
)


async def secure(server: Server, folder: Path) -> Path:
    """Speak only what is signed, or signed and encrypted. Returns the server's certificate, made on first use."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before the server serves anybody
    key, certificate = folder / "server.key.pem", folder / "server.der"
    await server.set_application_uri(URI)
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    if not certificate.exists():
        await setup_self_signed_certificate(key, certificate, URI, socket.gethostname(), uses, {})
        key.chmod(0o600)
    await server.load_certificate(str(certificate))
    await server.load_private_key(str(key))
    policies = ua.SecurityPolicyType
    server.set_security_policy(
        [
            policies.Basic256Sha256_SignAndEncrypt,
            policies.Basic256Sha256_Sign,
            policies.Aes128Sha256RsaOaep_SignAndEncrypt,
            policies.Aes256Sha256RsaPss_SignAndEncrypt,
        ]
    )
    return certificate


async def limit(server: Server, most_per_call: int) -> None:
    """State how many nodes one request may name, and refuse more of every client that comes from now on."""
    for number in _STATED:
        value = ua.DataValue(ua.Variant(most_per_call, ua.VariantType.UInt32))
        await server.write_attribute_value(ua.NodeId(ua.Int32(number)), value)
    make: Callable[..., Any] = server.iserver.create_session

    def create_session(*arguments: Any, **options: Any) -> Any:
        session = make(*arguments, **options)
        if session.external:
            for service, asked in _LIMITED.items():
                setattr(session, service, _refusing(getattr(session, service), asked, most_per_call))
        return session

    server.iserver.create_session = create_session  # type: ignore[method-assign]  # asyncua has no place for it


def _refusing(service: Callable[..., Awaitable[Any]], asked: str, most: int) -> Callable[..., Awaitable[Any]]:
    async def limited(parameters: Any, *rest: Any) -> Any:
        if len(getattr(parameters, asked)) > most:
            raise ua.uaerrors.BadTooManyOperations
        return await service(parameters, *rest)

    return limited
