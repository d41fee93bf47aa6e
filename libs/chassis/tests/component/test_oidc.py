"""Tokens of an OIDC issuer, a real one on loopback, and the attacks on them (faults 5 to 7)."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import SecretStr, ValidationError

from chassis.errors import Denied, DeskError, Unauthenticated, Unavailable
from chassis.identity import Identity
from chassis.settings import ChassisSettings

ISSUER, AUDIENCE = "https://login.example.com/desk", "tickdesk"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def published() -> list[dict[str, Any]]:
    rsa_key = {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "rsa", "use": "sig"}
    ec_key = {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "ec"}
    # An issuer may publish what is not for signing, or should not be public at all.
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(b"s" * 32).decode(), "kid": "oct", "alg": "HS256"}
    return [rsa_key, ec_key, secret, {**rsa_key, "kid": "enc", "use": "enc"}]


@dataclass
class Issuer:
    """What the issuer answers, and how often it was asked."""

    keys: list[dict[str, Any]] = field(default_factory=published)
    status: int = 200
    asked: int = 0
    url: str = ""
    port: int = 0

    async def answer(self, _: web.Request) -> web.Response:
        """The set of keys."""
        self.asked += 1
        return web.json_response({"keys": self.keys}, status=self.status, headers={"location": self.url})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen, on the port of before when there was one."""
        app = web.Application()
        app.router.add_get("/keys", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/keys"
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    async with found.serving():
        yield found


def settings(url: str, **changes: Any) -> ChassisSettings:
    given: dict[str, Any] = {
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
        "oidc_jwks_url": url,
        "oidc_roles_claim": "realm_access.roles",
        "oidc_roles": {"desk-leads": "lead", "desk-agents": "agent"},
        "tokens": {"agent:static": SecretStr("a.static.token")},
        **changes,
    }
    return ChassisSettings(**given)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "anna",
        "iat": now,
        "exp": now + 300,
        "realm_access": {"roles": ["offline", "desk-agents"]},
        **changes,
    }


def token(
    *, key: Any = RSA_KEY, alg: str = "RS256", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    given = {name: value for name, value in claims(**changes).items() if value is not None}
    return jwt.encode(given, key, alg, headers={"kid": "rsa"} if headers is None else headers)


def forged(header: dict[str, Any], signature: bytes = b"", secret: bytes = b"") -> str:
    """A token put together by hand; with a secret it is signed as HS256 would be."""
    parts = [json.dumps(part).encode() for part in (header, claims(realm_access={"roles": ["desk-leads"]}))]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    if secret:
        signature = hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def who(identity: Identity, presented: str) -> str:
    return (await identity.caller(f"Bearer {presented}")).principal.name


async def refusal(identity: Identity, presented: str) -> tuple[type[DeskError], str]:
    with pytest.raises(DeskError) as caught:
        await who(identity, presented)
    return type(caught.value), caught.value.reason


BAD = (Unauthenticated, "BAD_TOKEN")


async def test_a_token_of_the_issuer_names_the_principal_and_role(issuer: Issuer) -> None:
    identity = Identity(settings(issuer.url))
    assert await who(identity, token()) == "agent:anna"
    assert await who(identity, token(key=EC_KEY, alg="ES256", headers={"kid": "ec"})) == "agent:anna"
    # The first of oidc_roles wins, whatever the order in the token is.
    both = {"roles": ["desk-agents", "desk-leads"]}
    assert await who(identity, token(realm_access=both)) == "lead:anna"
    assert await who(identity, token(aud=["other", AUDIENCE])) == "agent:anna"
    assert await who(identity, "a.static.token") == "agent:static"
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aud": "another-program"}, BAD),
        ({"aud": None}, BAD),
        ({"iss": "https://evil.example.com"}, BAD),
        ({"iss": None}, BAD),
        ({"exp": int(time.time()) - 3600}, (Unauthenticated, "TOKEN_EXPIRED")),
        ({"exp": None}, BAD),
        ({"exp": "soon"}, BAD),
        ({"nbf": int(time.time()) + 3600}, BAD),
        ({"iat": int(time.time()) + 3600}, BAD),
        ({"sub": None}, BAD),
        ({"sub": ""}, BAD),
        ({"sub": "an na"}, BAD),
        ({"sub": "anna\n"}, BAD),
        ({"sub": "x:admin"}, BAD),
        ({"sub": "x" * 101}, BAD),
        ({"realm_access": {"roles": ["admin", "lead"]}}, (Denied, "ROLE_MISSING")),
        ({"realm_access": {"roles": "desk-agents-not"}}, (Denied, "ROLE_MISSING")),
        ({"realm_access": ["desk-leads"]}, (Denied, "ROLE_MISSING")),
        ({"realm_access": None}, (Denied, "ROLE_MISSING")),
        ({"headers": {"kid": "none-such"}}, BAD),
        ({"headers": {}}, BAD),
        ({"headers": {"kid": "ec"}}, BAD),
        ({"headers": {"kid": "enc"}}, BAD),
        ({"headers": {"kid": "rsa", "crit": ["b64"]}}, BAD),
        ({"alg": "RS512"}, BAD),
        ({"alg": "PS256"}, BAD),
        ({"key": OTHER_KEY}, BAD),
    ],
)
async def test_a_token_with_a_wrong_claim_or_key_is_refused(
    issuer: Issuer, changes: dict[str, Any], expected: tuple[type[DeskError], str]
) -> None:
    assert await refusal(Identity(settings(issuer.url)), token(**changes)) == expected


@pytest.mark.parametrize(
    "presented",
    [
        forged({"alg": "none", "kid": "rsa"}),
        forged({"alg": "None", "kid": "rsa"}),
        forged({"kid": "rsa"}),
        forged({"alg": "RS256", "kid": "rsa"}, b"x" * 256),
        forged({"alg": "HS256", "kid": "rsa"}, secret=PEM),
        forged({"alg": "HS256", "kid": "oct"}, secret=b"s" * 32),
        forged({"alg": "RS256", "kid": "../../dev/null"}, b"x"),
        forged({"alg": "RS256", "kid": "' or 1=1 --"}, b"x"),
        forged({"alg": "RS256", "kid": ["rsa"]}, b"x"),
        forged({"alg": "RS256", "kid": 7}, b"x"),
        "e30.e30.e30",
        "..",
        "[.[.[",
        "\u0416.\u0416.\u0416",
        base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.e30",
        base64.urlsafe_b64encode(b"7").decode() + ".e30.e30",
    ],
)
async def test_a_forged_token_is_refused_and_nothing_breaks(issuer: Issuer, presented: str) -> None:
    """No signature, the public key as a secret, ids of keys that are paths or code, endless nesting."""
    assert await refusal(Identity(settings(issuer.url)), presented) == BAD


async def test_a_token_cannot_bring_its_own_key(issuer: Issuer) -> None:
    own = {**RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True), "kid": "mine"}
    evil = Issuer(keys=[own])
    async with evil.serving():
        identity = Identity(settings(issuer.url))
        for extra in ({"jwk": own}, {"jku": evil.url}, {"x5u": evil.url}):
            headers = {"kid": "mine", **extra}
            assert await refusal(identity, token(key=OTHER_KEY, headers=headers)) == BAD
    assert evil.asked == 0


async def test_a_huge_token_is_refused_before_it_is_looked_into(issuer: Issuer) -> None:
    identity = Identity(settings(issuer.url))
    assert await refusal(identity, token(junk="x" * 8192)) == BAD
    assert issuer.asked == 0


async def test_the_clocks_may_differ_a_little(issuer: Issuer) -> None:
    just_over = int(time.time()) - 10
    assert await who(Identity(settings(issuer.url)), token(exp=just_over)) == "agent:anna"
    strict = Identity(settings(issuer.url, oidc_leeway_seconds=0))
    assert await refusal(strict, token(exp=just_over)) == (Unauthenticated, "TOKEN_EXPIRED")


async def test_unknown_keys_are_asked_for_at_most_once_a_minute(issuer: Issuer) -> None:
    identity = Identity(settings(issuer.url))
    stranger = token(headers={"kid": "next"}, key=OTHER_KEY)
    await asyncio.gather(*(refusal(identity, stranger) for _ in range(20)))
    assert issuer.asked == 1
    issuer.keys = [{**RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True), "kid": "next"}]
    assert await refusal(identity, stranger) == BAD
    later(identity, 61)
    assert await who(identity, stranger) == "agent:anna"
    assert await refusal(identity, token()) == BAD, "a key that was withdrawn"
    assert issuer.asked == 2


async def test_a_withdrawn_key_ends_without_being_asked_for(issuer: Issuer) -> None:
    identity = Identity(settings(issuer.url))
    assert await who(identity, token()) == "agent:anna"
    issuer.keys = issuer.keys[1:]
    assert await who(identity, token()) == "agent:anna"
    later(identity, 601)
    assert await refusal(identity, token()) == BAD


async def test_known_keys_stay_while_the_issuer_is_away_or_answers_nonsense(issuer: Issuer) -> None:
    identity = Identity(settings(issuer.url))
    assert await who(identity, token()) == "agent:anna"
    for issuer.status, issuer.keys in (
        (503, published()),
        (302, published()),
        (200, []),
        (200, [{"kty": "x"}]),
    ):
        later(identity, 601)
        assert await who(identity, token()) == "agent:anna"
    assert issuer.asked == 5


async def test_a_token_waits_for_an_issuer_that_was_never_there() -> None:
    issuer = Issuer()
    async with issuer.serving():
        pass
    identity = Identity(settings(issuer.url))
    assert await refusal(identity, token()) == (Unavailable, "ISSUER_UNAVAILABLE")
    async with issuer.serving():
        later(identity, 6)
        assert await who(identity, token()) == "agent:anna"


def later(identity: Identity, seconds: float) -> None:
    """As if the issuer had been asked that much earlier."""
    held: Any = identity._issuer
    held._asked -= seconds
    held._fetched -= seconds


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oidc_audience": ""}, "oidc_issuer needs oidc_audience"),
        ({"oidc_roles": {}}, "oidc_issuer needs"),
        ({"oidc_jwks_url": "http://login.example.com/keys"}, "must begin with https"),
        ({"oidc_jwks_url": "file:///etc/keys"}, "must begin with https"),
        ({"oidc_jwks_url": "login.example.com/keys"}, "must begin with https"),
        ({"oidc_jwks_url": "//login.example.com/keys"}, "must begin with https"),
        ({"oidc_jwks_url": "https:keys"}, "must begin with https"),
        ({"oidc_roles": {"desk": "service"}}, "oidc_roles"),
        ({"oidc_leeway_seconds": 301}, "oidc_leeway_seconds"),
    ],
)
def test_settings_that_would_let_strangers_in_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings("https://login.example.com/keys", **changes)
