"""Tokens of an OIDC issuer: verified with the keys it publishes, turned into principals of the desk."""

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
from prometheus_client import Counter

from chassis import telemetry
from chassis.errors import Denied, Unauthenticated, Unavailable
from chassis.identity import bad_token
from chassis.principal import Principal
from chassis.settings import ChassisSettings

log = telemetry.logger(__name__)

FAILED = Counter("tickdesk_issuer_failed_total", "Times the issuer's signing keys could not be fetched.")

ALGORITHMS = ("RS256", "ES256")
"""Signatures that are taken; not `none`, and not HS256, whose secret could be the published key."""

_FETCH_SECONDS = 3.0
_FOR_UNKNOWN_SECONDS, _WITHOUT_ANY_SECONDS, _KEEP_SECONDS = 60.0, 5.0, 600.0
_NAME = re.compile(r"[^\s:]{1,100}")


class Issuer:
    """Verifies tokens of one issuer.

    A token says only which of the published keys signed it: where keys are and how they sign is never taken
    from a token. Keys are fetched when one is unknown, at most once a minute, and every ten minutes so that
    withdrawn ones end; while the issuer is away those known stay.
    """

    def __init__(self, settings: ChassisSettings) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = self._fetched = float("-inf")
        self._fetching = asyncio.Lock()

    async def principal(self, token: str) -> Principal:
        """Whose token it is. Raises Unauthenticated, Denied (ROLE_MISSING), Unavailable."""
        settings = self._settings
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid", ""))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=settings.oidc_audience,
                issuer=settings.oidc_issuer,
                leeway=timedelta(seconds=settings.oidc_leeway_seconds),
                options={"require": ["exp", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired: get a new one", reason="TOKEN_EXPIRED") from None
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            log.info("a token was refused", fault=type(error).__name__)
            raise bad_token() from None
        return self._named(claims)

    def _named(self, claims: Mapping[str, Any]) -> Principal:
        settings = self._settings
        name = claims.get(settings.oidc_name_claim)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            text = f"the claim {settings.oidc_name_claim} must be a name without blanks and colons"
            raise Unauthenticated(text, reason="BAD_TOKEN")
        groups = _at(claims, settings.oidc_roles_claim)
        role = next((role for group, role in settings.oidc_roles.items() if group in groups), None)
        if role is None:
            text = f"{name} has no role here: {settings.oidc_roles_claim} names none of oidc_roles"
            raise Denied(text, reason="ROLE_MISSING")
        return Principal(f"{role}:{name}", role)

    async def _key(self, kid: str) -> jwt.PyJWK:
        if self._must_fetch(kid):
            async with self._fetching:
                if self._must_fetch(kid):
                    await self._fetch()
        if not self._keys:
            raise Unavailable("the issuer's keys are not known yet, try again", reason="ISSUER_UNAVAILABLE")
        if kid not in self._keys:
            raise bad_token()
        return self._keys[kid]

    def _must_fetch(self, kid: str) -> bool:
        now = time.monotonic()
        pause = _FOR_UNKNOWN_SECONDS if self._keys else _WITHOUT_ANY_SECONDS
        return now - self._asked >= pause and (kid not in self._keys or now - self._fetched >= _KEEP_SECONDS)

    async def _fetch(self) -> None:
        self._asked = time.monotonic()
        limit = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, raise_for_status=True) as session,
                session.get(self._settings.oidc_jwks_url, allow_redirects=False) as answer,
            ):
                published = jwt.PyJWKSet.from_dict(await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, jwt.PyJWTError, ValueError, AttributeError) as error:
            FAILED.inc()
            log.warning("the issuer's keys were not fetched, those known stay", fault=type(error).__name__)
            return
        self._keys = {key.key_id or "": key for key in published.keys if _signs(key)}
        self._fetched = time.monotonic()


def _signs(key: jwt.PyJWK) -> bool:
    return bool(key.key_id) and key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")


def _at(claims: Mapping[str, Any], path: str) -> list[Any]:
    """The values of a claim that may lie inside others ("realm_access.roles")."""
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, list) else [found]
