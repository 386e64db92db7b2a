"""A login service that speaks OpenID Connect: where to send people, and who it says they are.

OpenID Connect Core 1.0, code flow, with PKCE (RFC 7636), `nonce`, `state`, and the issuer told with the answer
(RFC 9207). joserfc checks signatures and claims.

Invariants
- Nothing of an identity token is believed before its signature, issuer, audience, times and nonce are checked.
- Keys and addresses come from the issuer's own discovery document, over HTTPS (or from this machine).
- Its addresses and keys are asked for by one thread at a time; how it is asked is in `service`.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from dashboards.web.accounts.ledger import RefusedError
from dashboards.web.accounts.service import Service
from dashboards.web.config import OidcConfig
from dashboards.web.texts import mark
from telemetry.config import safe
from telemetry.samples import SECOND_NS

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "RS512", "PS512", "ES512")
"""Signatures by a key of the issuer's; never one by a shared secret, never none."""
LEEWAY_S: Final = 60
KEPT_S: Final = 3600.0
"""How long addresses and keys are believed [s]."""
LATE: Final = mark("this login was begun in another window, or too long ago: begin again")
AGAIN_S: Final = 30.0
"""Keys are asked for again because of an unknown one no more often than this [s]."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One person on the way to the login service and back. `word`: of the session that the login is to be joined to;
    "" for somebody who comes in."""

    state: str
    nonce: str
    verifier: str
    following: str
    word: str = ""

    @classmethod
    def new(cls, following: str, word: str = "") -> "Attempt":
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), following, word)

    def encode(self) -> str:
        """For a cookie of the browser that must come back with it."""
        fields = [self.state, self.nonce, self.verifier, self.following, self.word]
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "Attempt | None":
        """None for what is no attempt."""
        try:
            fields = json.loads(base64.urlsafe_b64decode(text.encode("ascii", "replace")))
        except (ValueError, RecursionError):
            return None
        whole = isinstance(fields, list) and len(fields) == 5 and all(isinstance(one, str) for one in fields)
        return cls(*fields) if whole else None


@dataclass(frozen=True, slots=True)
class Known:
    """Who the login service says it is. `email` only where the service has verified it."""

    issuer: str
    subject: str
    email: str | None


class Provider:
    """Synchronous and thread-safe: call it from threads. Raises RefusedError, with a sentence for people."""

    def __init__(self, config: OidcConfig, now_ns: Callable[[], int]) -> None:
        """Raises ConfigError when the secret cannot be read."""
        self._config: Final = config
        self._secret: Final = config.secret.read() if config.secret is not None else None
        self._now_ns: Final = now_ns
        self._service: Final = Service()
        self._lock = threading.Lock()
        self._found: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None
        self.redirect: Final = f"{config.address}/login/oidc/done"

    def address(self, attempt: Attempt) -> str:
        """Where to send the browser."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self._config.client, "redirect_uri": self.redirect,
            "scope": "openid email", "state": attempt.state, "nonce": attempt.nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        if attempt.word:  # so that nobody's account is joined to a login that somebody else left open
            asked["prompt"] = "login"
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    def who(self, attempt: Attempt, answer: Mapping[str, str]) -> Known:
        """Who came back, by the parameters with which the browser was sent here."""
        if not secrets.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise RefusedError(LATE)
        issuer = answer.get("iss")
        told = self._metadata().get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or told) and issuer != self._config.issuer:
            raise RefusedError("the answer comes from another login service than it was sent to")
        if "error" in answer:
            raise RefusedError(f"the login service refused: {answer.get('error_description') or answer['error']}"[:300])
        if not answer.get("code"):
            raise RefusedError("the login service answered without a code: begin again")
        tokens = self._tokens(answer["code"], attempt.verifier)
        claims = self._claims(str(tokens.get("id_token", "")), attempt.nonce)
        subject = str(claims["sub"])
        if "email" not in claims and "userinfo_endpoint" in self._metadata():
            told_more = self._service.ask(
                "GET", self._endpoint("userinfo_endpoint"), token=str(tokens.get("access_token", ""))
            )
            if told_more.get("sub") != subject:
                raise RefusedError("the login service speaks of two people at once")
            claims = {**claims, **{key: told_more[key] for key in ("email", "email_verified") if key in told_more}}
        email = claims.get("email")
        verified = claims.get("email_verified") is True and isinstance(email, str)
        return Known(self._config.issuer, subject, email if verified else None)

    def _tokens(self, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect, "code_verifier": verifier,
        }  # fmt: skip
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = None
        if self._secret is None:
            form["client_id"] = self._config.client
        elif "client_secret_basic" in methods:
            basic = (quote(self._config.client, safe=""), quote(self._secret, safe=""))  # RFC 6749, 2.3.1
        else:
            form |= {"client_id": self._config.client, "client_secret": self._secret}
        return self._service.ask("POST", self._endpoint("token_endpoint"), form=form, basic=basic)

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            try:
                claims = jwt.decode(token, self._key_set(), algorithms=list(ALGORITHMS)).claims
            except (JoseError, ValueError):  # a key that is not among those kept: perhaps a new one
                claims = jwt.decode(token, self._key_set(again=True), algorithms=list(ALGORITHMS)).claims
            registry = jwt.JWTClaimsRegistry(
                now=self._now_ns() // SECOND_NS,
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self._config.issuer},
                aud={"essential": True, "value": self._config.client},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise RefusedError(f"the login service's word cannot be checked: {error}") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._config.client) != self._config.client:
            raise RefusedError("the login service's word was given to another program")
        return dict(claims)

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            if self._found is None or monotonic() - self._found[0] > KEPT_S:
                found = self._service.ask("GET", f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self._config.issuer:
                    raise RefusedError(f"the login service calls itself {str(found.get('issuer'))[:200]!r}: write that")
                self._found = monotonic(), found
            return self._found[1]

    def _endpoint(self, name: str) -> str:
        address = self._metadata().get(name)
        if not isinstance(address, str) or not safe(address):
            raise RefusedError(f"the login service names no {name} over HTTPS")
        return address

    def _key_set(self, *, again: bool = False) -> Any:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        address = self._endpoint("jwks_uri")
        with self._lock:
            age = None if self._keys is None else monotonic() - self._keys[0]
            if age is None or age > (AGAIN_S if again else KEPT_S):
                try:
                    self._keys = monotonic(), KeySet.import_key_set(self._service.ask("GET", address))  # type: ignore[arg-type]  # what the service gave
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise RefusedError(f"the login service's keys cannot be read: {error}") from error
            assert self._keys is not None
            return self._keys[1]
