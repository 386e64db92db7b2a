"""Names of nodes that survive a restart: the namespace is a URI, its index is looked up in every session anew."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

STANDARD: Final = "http://opcfoundation.org/UA/"
"""URI of namespace 0, the only one whose index is fixed."""

_FORM: Final = re.compile(r"(?:nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<identifier>.+)", re.DOTALL)
_EXAMPLE: Final = '"nsu=urn:example:machine;s=Spindle/Load" or "nsu=urn:example:machine;i=1042"'


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node by the URI of its namespace; `kind` is i (number), s (string), g (GUID) or b (bytes in base64)."""

    uri: str
    kind: str
    identifier: str

    def __str__(self) -> str:
        if self.uri == STANDARD:
            return f"{self.kind}={self.identifier}"
        return f"nsu={self.uri.replace('%', '%25').replace(';', '%3B')};{self.kind}={self.identifier}"

    def within(self, namespaces: Sequence[str]) -> str | None:
        """The address in one session, "ns=3;s=…", given the server's namespace array; None: the URI is not in it."""
        if self.uri not in namespaces:
            return None
        return f"ns={namespaces.index(self.uri)};{self.kind}={self.identifier}"


def parse(text: str) -> NodeAddress:
    """An address as written in the plant file (OPC 10000-6, 5.1.12). ValueError says how to put it right."""
    if re.match(r"(ns|svr)=", text):
        raise ValueError(
            f"{text!r} names its namespace by index, which changes when the server's does: name it by URI, {_EXAMPLE}"
        )
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is not a node; write {_EXAMPLE}")
    kind, identifier = form["kind"], form["identifier"]
    if kind == "i" and not (identifier.isascii() and identifier.isdecimal() and int(identifier) < 2**32):
        raise ValueError(f"{text!r}: after i= stands a number below 2^32; a name is written after s=")
    if kind == "g" and not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", identifier):
        raise ValueError(f"{text!r}: after g= stands a GUID, 8-4-4-4-12 hexadecimal digits")
    # ";" and "%" inside a URI are written %3B and %25 (OPC 10000-6, 5.1.12).
    return NodeAddress(unquote(form["uri"]) if form["uri"] else STANDARD, kind, identifier)
