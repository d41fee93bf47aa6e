"""What the interceptor promises on the wire: tokens, deadlines, clear errors, no leaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
import structlog.testing
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY
from pydantic import SecretStr

from chassis.channel import channel
from chassis.errors import DeskError, InvalidInput, NotFound, Violation
from chassis.principal import principal
from chassis.rpc import Server
from chassis.settings import ChassisSettings
from libs.chassis.tests.probe import SERVICE, Answer, Ask, Probe, add_probe, do, watch

Answering = Callable[[Any], Awaitable[Any]]


def settings(**values: Any) -> ChassisSettings:
    return ChassisSettings(
        tokens={"agent:anna": SecretStr("old-one,new-one"), "service:intake": SecretStr("s")}, **values
    )


class Peer:
    """A server with one probe, and a channel to it."""

    def __init__(self, probe: Probe, port: int, token: str) -> None:
        self.probe = probe
        self.target = f"127.0.0.1:{port}"
        self.channel = channel(self.target, token)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async def echo(request: Any) -> Any:
        return Answer(text=f"{principal().name} {principal().role}")

    probe, server = Probe(echo), Server(settings())
    server.add(add_probe, probe, SERVICE)
    opened = Peer(probe, await server.start(), "new-one")
    yield opened
    await opened.channel.close()
    await server.stop(0)


def raising(error: Exception) -> Answering:
    async def answer(_: Any) -> Any:
        raise error

    return answer


async def status_of(call: Any) -> Any:
    assert await call.code() != grpc.StatusCode.OK
    return await rpc_status.aio.from_call(call)


def detail(status: Any, kind: Any) -> Any:
    found = kind()
    for packed in status.details:
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.DESCRIPTOR.name} in {status}")


@pytest.mark.parametrize("token", ["old-one", "new-one"])
async def test_both_tokens_of_a_rotation_are_taken_and_name_the_caller(peer: Peer, token: str) -> None:
    async with channel(peer.target, token) as opened:
        assert (await do(opened)(Ask(), timeout=5)).text == "agent:anna agent"


@pytest.mark.parametrize("token", ["", "old-one,new-one", "old-on", "wrong", "new-one2"])
async def test_a_missing_or_wrong_token_is_refused_before_the_handler(peer: Peer, token: str) -> None:
    called: list[Any] = []

    async def answer(request: Any) -> Any:
        called.append(request)
        return Answer()

    peer.probe.answer = answer
    metadata = [("authorization", f"Bearer {token}")] if token else []
    async with grpc.aio.insecure_channel(peer.target) as opened:
        for stub in (do(opened), watch(opened)):
            call = stub(Ask(), timeout=5, metadata=metadata)
            assert await call.code() == grpc.StatusCode.UNAUTHENTICATED
    assert not called


async def test_reflection_needs_a_token_and_health_does_not(peer: Peer) -> None:
    async with grpc.aio.insecure_channel(peer.target) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        for name in ("", SERVICE):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        listing = reflection_pb2_grpc.ServerReflectionStub(opened).ServerReflectionInfo(ask_services())
        assert await listing.code() == grpc.StatusCode.UNAUTHENTICATED
        allowed = reflection_pb2_grpc.ServerReflectionStub(opened).ServerReflectionInfo(
            ask_services(), metadata=[("authorization", "Bearer s")]
        )
        names = [one.name async for answer in allowed for one in answer.list_services_response.service]
        assert SERVICE in names


async def ask_services() -> AsyncIterator[Any]:
    yield reflection_pb2.ServerReflectionRequest(list_services="")


async def test_a_desk_error_travels_with_its_reason_and_fields(peer: Peer) -> None:
    peer.probe.answer = raising(
        InvalidInput(
            "subject: must not be empty",
            reason="SUBJECT_EMPTY",
            violations=[Violation("subject", "must not be empty")],
            metadata={"limit": "200"},
        )
    )
    status = await status_of(do(peer.channel)(Ask(), timeout=5))
    assert grpc.StatusCode.INVALID_ARGUMENT.value[0] == status.code
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain, info.metadata["limit"]) == ("SUBJECT_EMPTY", "tickdesk", "200")
    field = detail(status, error_details_pb2.BadRequest).field_violations[0]
    assert (field.field, field.description) == ("subject", "must not be empty")


async def test_an_error_about_endless_text_still_arrives(peer: Peer) -> None:
    """Headers over the client's bound would turn it into RESOURCE_EXHAUSTED."""
    long = "\u0416" * 5000
    many = [Violation(long, long)] * 500
    peer.probe.answer = raising(InvalidInput(f"subject: {long}", violations=many))
    status = await status_of(do(peer.channel)(Ask(), timeout=5))
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert status.message.startswith("subject: \u0416")
    assert len(detail(status, error_details_pb2.BadRequest).field_violations) > 1


async def test_an_error_ends_a_stream_with_its_status(peer: Peer) -> None:
    peer.probe.answer = raising(NotFound("no ticket t1"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in watch(peer.channel)(Ask(), timeout=5):
            pass
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no ticket t1")


async def test_a_stream_answers_more_than_once(peer: Peer) -> None:
    assert [one.text async for one in watch(peer.channel)(Ask(), timeout=5)] == ["agent:anna agent"] * 2


async def test_bytes_that_are_no_request_are_the_callers_fault(peer: Peer) -> None:
    kinds: tuple[Any, ...] = (peer.channel.unary_unary, peer.channel.unary_stream)
    for kind in kinds:
        name = "Do" if kind == peer.channel.unary_unary else "Watch"
        for raw in (b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\x7f"):
            status = await status_of(kind(f"/{SERVICE}/{name}")(raw, timeout=5))
            assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert detail(status, error_details_pb2.ErrorInfo).reason == "UNDECODABLE"
            assert "Decode" not in status.message


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(-(10**18), 0), (10**18, 0), (253402300799, 0), (-1, 0), (0, -1), (0, 2**31 - 1)]
)
async def test_a_time_that_no_calendar_knows_is_refused_with_its_field(
    peer: Peer, seconds: int, nanos: int
) -> None:
    ask = Ask(inner=[Ask(since={"seconds": seconds, "nanos": nanos})])
    status = await status_of(do(peer.channel)(ask, timeout=5))
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert detail(status, error_details_pb2.BadRequest).field_violations[0].field == "inner.since"


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """The library's own set-up: what another test of this process has configured may hide lines."""
    configured = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**configured)


@pytest.mark.usefixtures("plain_logs")
async def test_an_unexpected_error_tells_the_caller_only_an_id(peer: Peer) -> None:
    peer.probe.answer = raising(ValueError("canary-secret"))
    with structlog.testing.capture_logs() as logged:
        status = await status_of(do(peer.channel)(Ask(), timeout=5))
    identity = detail(status, error_details_pb2.ErrorInfo).metadata["error_id"]
    assert status.message == f"internal error {identity}"
    assert "canary" not in str(status)
    assert identity in str(logged)
    assert "canary-secret" in str(logged)


async def test_the_rules_of_the_contract_are_enforced_with_field_paths(peer: Peer) -> None:
    status = await status_of(do(peer.channel)(Ask(inner=[Ask(), Ask(name="toolong")]), timeout=5))
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert detail(status, error_details_pb2.BadRequest).field_violations[0].field == "inner[1].name"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Ask(name="a\0b"), "name"),
        (Ask(tags=["ok", "\0"]), "tags"),
        (Ask(inner=[Ask(name="\0")]), "inner.name"),
        (Ask(labels={"k": "\0"}), "labels"),
        (Ask(labels={"\0": "v"}), "labels"),
    ],
)
async def test_nul_characters_are_refused_wherever_they_are(peer: Peer, request_: Any, field: str) -> None:
    status = await status_of(do(peer.channel)(request_, timeout=5))
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert detail(status, error_details_pb2.ErrorInfo).reason == "NUL_CHARACTER"
    assert detail(status, error_details_pb2.BadRequest).field_violations[0].field == field


async def test_a_handler_is_stopped_at_the_callers_deadline(peer: Peer) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Answer()

    peer.probe.answer = slow
    await peer.channel.channel_ready()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await do(peer.channel)(Ask(), timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert begun.is_set()
    await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize("stub", [do, watch])
@pytest.mark.parametrize("given_up", [False, True])
async def test_a_call_that_its_client_cancels_or_gives_up_ends_at_the_server(
    peer: Peer, stub: Callable[[Any], Any], *, given_up: bool
) -> None:
    """Or servers would work for nobody until the deadline."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise
        return Answer()

    peer.probe.answer = slow
    call = stub(peer.channel)(Ask(), timeout=60)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(answered(call))
        await asyncio.wait_for(begun.wait(), 10)
        (waiting if given_up else call).cancel()
        await asyncio.wait_for(ended.wait(), 10)


async def answered(call: Any) -> None:
    with suppress(asyncio.CancelledError):
        await (call.read() if hasattr(call, "read") else call)


async def test_a_call_without_a_deadline_gets_the_default_one() -> None:
    async def slow(_: Any) -> Any:
        await asyncio.Event().wait()
        return Answer()

    server = Server(settings(call_seconds=0.2))
    server.add(add_probe, Probe(slow), SERVICE)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        call = do(opened)(Ask(), metadata=[("authorization", "Bearer s")])
        assert await asyncio.wait_for(call.code(), 5) == grpc.StatusCode.DEADLINE_EXCEEDED
    await server.stop(0)


async def test_the_client_refuses_a_call_without_a_timeout(peer: Peer) -> None:
    with pytest.raises(ValueError, match="needs a timeout"):
        await do(peer.channel)(Ask())
    with pytest.raises(ValueError, match="needs a timeout"):
        async for _ in watch(peer.channel)(Ask()):
            pass


async def test_the_client_retries_while_a_server_is_away() -> None:
    async def answer(_: Any) -> Any:
        return Answer(text="back")

    first = Server(settings())
    first.add(add_probe, Probe(answer), SERVICE)
    port = await first.start()
    await first.stop(0)
    second = Server(settings(grpc_port=port))
    second.add(add_probe, Probe(answer), SERVICE)
    async with channel(f"127.0.0.1:{port}", "s") as opened, asyncio.TaskGroup() as group:
        group.create_task(start_later(second, 0.15))
        assert (await do(opened)(Ask(), timeout=10)).text == "back"
    await second.stop(0)


async def start_later(server: Server, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await server.start()


async def test_a_port_that_is_taken_is_an_error_and_not_shared(peer: Peer) -> None:
    second = Server(settings(grpc_port=int(peer.target.rpartition(":")[2])))
    with pytest.raises(RuntimeError):
        await second.start()
    await second.stop(0)


async def test_listening_off_loopback_needs_tls_or_a_word() -> None:
    with pytest.raises(RuntimeError, match="without TLS"):
        await Server(settings(host="0.0.0.0")).start()
    open_server = Server(settings(host="0.0.0.0", insecure=True))
    assert await open_server.start() > 0
    await open_server.stop(0)


async def test_calls_are_counted_with_their_code(peer: Peer) -> None:
    labels = {"grpc_service": SERVICE, "grpc_method": "Do", "grpc_code": "NOT_FOUND"}
    before = REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0
    peer.probe.answer = raising(NotFound("no"))
    await do(peer.channel)(Ask(), timeout=5).code()
    assert REGISTRY.get_sample_value("grpc_server_handled_total", labels) == before + 1


def test_every_error_class_names_a_code_that_grpc_knows() -> None:
    for kind in DeskError.__subclasses__():
        assert kind.code in grpc.StatusCode.__members__
        assert (kind.default_reason or kind.code).isupper()


async def test_roles_that_a_service_does_not_name_are_refused_before_anything_is_done() -> None:
    probe, server = Probe(raising(RuntimeError("must not be reached"))), Server(settings())
    server.add(add_probe, probe, SERVICE, permitted={"Do": frozenset({"agent"})})
    target = f"127.0.0.1:{await server.start()}"
    async with channel(target, "s") as stranger, channel(target, "new-one") as agent:
        status = await status_of(do(stranger)(Ask(), timeout=5))
        unnamed = watch(agent)(Ask(), timeout=5)
        assert await unnamed.code() == grpc.StatusCode.PERMISSION_DENIED
        assert await do(agent)(Ask(), timeout=5).code() == grpc.StatusCode.INTERNAL
    assert status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert detail(status, error_details_pb2.ErrorInfo).reason == "ROLE_NOT_PERMITTED"
    await server.stop(0)
