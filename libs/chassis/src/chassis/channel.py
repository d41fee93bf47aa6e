"""A gRPC client's channel: a deadline, the token and the trace on every call."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind

from chassis import telemetry

_RETRY = {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2}
_METHODS = {"name": [{}], "retryPolicy": {**_RETRY, "retryableStatusCodes": ["UNAVAILABLE"]}}
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [_METHODS]})
_CLIENT_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


def channel(
    target: str,
    token: str,
    ca: Path | str | None = None,
    *,
    cert: Path | str | None = None,
    key: Path | str | None = None,
) -> grpc.aio.Channel:
    """Open a channel that presents the token on every call; `ca` (a PEM file) turns TLS on.

    Calls need a timeout (ValueError without one); UNAVAILABLE is tried 4 times within it.
    """
    interceptors: list[grpc.aio.ClientInterceptor] = [_UnaryCaller(token), _StreamCaller(token)]
    if ca is None:
        return grpc.aio.insecure_channel(target, options=_CLIENT_OPTIONS, interceptors=interceptors)
    credentials = grpc.ssl_channel_credentials(
        Path(ca).read_bytes(),
        Path(key).read_bytes() if key else None,
        Path(cert).read_bytes() if cert else None,
    )
    return grpc.aio.secure_channel(target, credentials, options=_CLIENT_OPTIONS, interceptors=interceptors)


class _Caller:
    def __init__(self, token: str) -> None:
        self._token = token

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        if details.timeout is None:
            raise ValueError(f"call of {_method(details)} needs a timeout")
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        if self._token:
            metadata.add("authorization", f"Bearer {self._token}")
        headers: dict[str, str] = {}
        telemetry.inject(headers)
        for name, value in headers.items():
            metadata.add(name, value)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryCaller(_Caller, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        name = _method(client_call_details)
        with telemetry.tracer.start_as_current_span(name, kind=SpanKind.CLIENT):
            call = await continuation(self._details(client_call_details), request)
            # Awaited here so that the span lasts as long as the call.
            try:
                await call.code()
            except asyncio.CancelledError:
                # Nobody else knows of the call yet: it would run to its end at the server.
                call.cancel()
                raise
            return call


class _StreamCaller(_Caller, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> AsyncIterator[Any]:
        with telemetry.tracer.start_as_current_span(_method(client_call_details), kind=SpanKind.CLIENT):
            return await continuation(self._details(client_call_details), request)  # type: ignore[no-any-return]


def _method(details: grpc.aio.ClientCallDetails) -> str:
    method: Any = details.method
    return (method.decode() if isinstance(method, bytes) else str(method)).lstrip("/")
