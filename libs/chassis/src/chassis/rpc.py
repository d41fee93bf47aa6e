"""A gRPC server behind one interceptor: deadlines, tokens, errors and metrics."""

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from chassis.guard import Guard, Roles
from chassis.identity import Identity
from chassis.settings import LOOPBACK, ChassisSettings


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


def _server_credentials(settings: ChassisSettings) -> grpc.ServerCredentials:
    assert settings.tls_cert
    assert settings.tls_key
    pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
    roots = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)
