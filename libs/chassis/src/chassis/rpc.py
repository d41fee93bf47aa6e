"""gRPC: one server interceptor, one client channel; deadlines, tokens, errors and metrics on both."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from chassis import telemetry
from chassis.guard import Guard, Roles
from chassis.identity import Identity
from chassis.principal import Principal, principal
from chassis.settings import LOOPBACK, ChassisSettings

__all__ = ["Principal", "Server", "channel", "principal"]

_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)
_CLIENT_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class Server:
    """The service's gRPC server: servicers, health, reflection behind the token."""

    def __init__(self, settings: ChassisSettings) -> None:
        self._guard = Guard(Identity(settings), settings.call_seconds)
        self._server = grpc.aio.server(
            interceptors=[self._guard],
            options=(
                # Without it two processes may bind one port and share its calls unseen.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
                ("grpc.max_connection_age_ms", 300_000),
                ("grpc.max_connection_age_grace_ms", 60_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ),
            maximum_concurrent_rpcs=settings.max_calls,
        )
        self._health = health.aio.HealthServicer()
        self._names: list[str] = []
        self._settings = settings
        self.port = 0

    def add(
        self,
        add_to_server: Callable[[Any, grpc.aio.Server], None],
        servicer: Any,
        *names: str,
        permitted: Roles | None = None,
    ) -> None:
        """Register a servicer under its full service names; `permitted` says which roles may call what."""
        add_to_server(servicer, self._server)
        self._names += names
        if permitted is not None:
            self._guard.permitted |= dict.fromkeys(names, permitted)

    async def start(self) -> int:
        """Bind, serve and report serving; returns the port. Raises RuntimeError when it is taken."""
        add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*self._names, reflection.SERVICE_NAME], self._server)
        self.port = self._bind()
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, HealthCheckResponse.SERVING)
        return self.port

    async def not_serving(self) -> None:
        """Report not serving on every name; calls are still taken."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls and give the running ones `grace` seconds."""
        await self._server.stop(grace)

    def _bind(self) -> int:
        settings = self._settings
        address = f"[{settings.host}]" if ":" in settings.host else settings.host
        target = f"{address}:{settings.grpc_port}"
        if settings.tls_cert and settings.tls_key:
            return self._server.add_secure_port(target, _server_credentials(settings))
        if settings.host not in LOOPBACK and not settings.insecure:
            raise RuntimeError(
                f"not listening on {settings.host} without TLS: set tls_cert and tls_key, or insecure=true"
            )
        return self._server.add_insecure_port(target)


def channel(
    target: str,
    token: str | SecretStr,
    ca: Path | str | None = None,
    *,
    cert: Path | str | None = None,
    key: Path | str | None = None,
) -> grpc.aio.Channel:
    """Open a channel that presents the token on every call; `ca` (a PEM file) turns TLS on.

    Calls need a timeout (ValueError without one); UNAVAILABLE is tried 4 times within it.
    """
    plain = token.get_secret_value() if isinstance(token, SecretStr) else token
    interceptors: list[grpc.aio.ClientInterceptor] = [_UnaryCaller(plain), _StreamCaller(plain)]
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


def _server_credentials(settings: ChassisSettings) -> grpc.ServerCredentials:
    assert settings.tls_cert
    assert settings.tls_key
    pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
    roots = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)
