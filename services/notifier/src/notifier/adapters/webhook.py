"""Signed webhooks (Standard Webhooks), to public addresses only."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from chassis.clock import utcnow
from chassis.errors import Refused, Unavailable
from notifier.adapters.guard import ForbiddenAddress, GuardedResolver, is_literal, is_public
from notifier.domain import Endpoint, Parcel

_PORTS = (80, 443)
_FINAL = (410,)
_ANSWER_BYTES = 4096
_HEADERS = {"content-type": "application/json", "user-agent": "Tickdesk"}


class Webhooks:
    """Posts events to endpoints; an async context manager that holds the connections."""

    def __init__(self, endpoints: Iterable[Endpoint], seconds: float, *, allow_private: bool = False) -> None:
        self._endpoints = {endpoint.recipient: endpoint for endpoint in endpoints}
        self._seconds = seconds
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        resolver = None if self._allow_private else GuardedResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=50, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, parcel: Parcel) -> str:
        """Post one event. Raises Refused for an endpoint that is gone or forbidden, Unavailable otherwise."""
        delivery = parcel.first
        endpoint = self._endpoints.get(delivery.recipient)
        if endpoint is None:
            raise Refused("the endpoint is no longer in the settings", reason="ENDPOINT_GONE")
        if not self._allow_private:
            check_url(endpoint.url)
        body = str(delivery.context["body"]).encode()
        headers = dict(_HEADERS)
        if endpoint.format == "event":
            at = int(utcnow().timestamp())
            headers |= signed_headers(endpoint.key, str(delivery.context["id"]), at, body)
        status = await self._post(endpoint.url, body, headers)
        if 200 <= status < 300:
            return ""
        if status in _FINAL or 300 <= status < 400:
            raise Refused(f"the endpoint answered {status}", reason="ENDPOINT_REFUSED")
        raise Unavailable(f"the endpoint answered {status}")

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False, max_line_size=8190
            ) as response:
                # Enough to use the connection again after a short answer; a long one is cut off.
                await response.content.read(_ANSWER_BYTES)
                return response.status
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ForbiddenAddress):
                raise Refused(str(error.os_error), reason="ENDPOINT_FORBIDDEN") from error
            raise Unavailable(f"{type(error).__name__}: cannot connect") from error
        except aiohttp.InvalidURL as error:
            raise Refused("the address cannot be read", reason="ENDPOINT_FORBIDDEN") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: no answer") from error


def check_url(url: str) -> None:
    """Raise Refused for a port or an address literal that a webhook may not reach."""
    try:
        # Read as the client will: it takes other digits and dots of Unicode for those of an address.
        parts = URL(url)
    except ValueError as error:
        raise Refused("the address cannot be read", reason="ENDPOINT_FORBIDDEN") from error
    host, port = parts.raw_host or "", parts.port
    if port not in _PORTS:
        raise Refused(f"port {port} is not allowed for webhooks", reason="ENDPOINT_FORBIDDEN")
    # A literal is never resolved, so the resolver would not see it.
    if is_literal(host) and not is_public(host):
        raise Refused(f"{host} is not a public address", reason="ENDPOINT_FORBIDDEN")


def signed_headers(key: bytes, identity: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: the signature covers id, time and body."""
    content = f"{identity}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
