"""API keys on the wire: who they are, what they may call, how long, and how their file changes."""

import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY
from pydantic import SecretStr

from chassis import identity
from chassis.clock import utcnow
from chassis.identity import digest, read_keys
from chassis.principal import principal
from chassis.rpc import Server
from chassis.settings import ChassisSettings
from libs.chassis.tests.probe import SERVICE, Answer, Ask, Probe, add_probe, do, watch

METHODS = {"Do": frozenset({"agent", "auditor"}), "Watch": frozenset({"agent"})}
Serve = Callable[..., Awaitable["Peer"]]


class Peer:
    """A server whose keys are in a file, and calls to it."""

    def __init__(self, file: Path, channel: grpc.aio.Channel) -> None:
        self.file = file
        self._channel = channel

    async def ask(self, token: str, method: Any = do) -> tuple[str, str]:
        """The code and reason of a refusal, or OK and who called."""
        call = method(self._channel)(Ask(), timeout=5, metadata=[("authorization", f"Bearer {token}")])
        try:
            answers = [await call] if method is do else [each async for each in call]
        except grpc.aio.AioRpcError as error:
            info = error_details_pb2.ErrorInfo()
            status: Any = rpc_status.from_call(error)
            status.details[0].Unpack(info)
            return error.code().name, info.reason
        return "OK", answers[0].text

    async def reflect(self, token: str) -> str:
        """The code of a call of reflection."""

        async def questions() -> AsyncIterator[Any]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")

        stub = reflection_pb2_grpc.ServerReflectionStub(self._channel)
        metadata = [("authorization", f"Bearer {token}")]
        call = stub.ServerReflectionInfo(questions(), metadata=metadata, timeout=5)
        try:
            return "OK" if [each async for each in call] else ""
        except grpc.aio.AioRpcError as error:
            return error.code().name


def entry(
    secret: str, scopes: tuple[str, ...] = ("probe",), *, name: str = "agent:anna", days: int = 1
) -> str:
    expires = (utcnow() + timedelta(days=days)).isoformat()
    return json.dumps({"name": name, "sha256": digest(secret), "scopes": scopes, "expires": expires})


@pytest.fixture
async def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Serve a probe with these lines in its file of keys, which is looked at before each call."""
    monkeypatch.setattr(identity, "_LOOK_SECONDS", 0.0)
    async with AsyncExitStack() as stack:

        async def begin(*lines: str) -> Peer:
            async def answer(_: Any) -> Any:
                return Answer(text=principal().name)

            file = tmp_path / "keys.jsonl"
            file.write_text("\n".join(lines))
            server = Server(ChassisSettings(keys_file=file, tokens={"agent:static": SecretStr("static")}))
            server.add(add_probe, Probe(answer), SERVICE, permitted=METHODS)
            port = await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            return Peer(file, await stack.enter_async_context(channel))

        yield begin


def replace(file: Path, text: str) -> None:
    """As a mounted secret changes: all at once."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, file)


async def test_two_keys_of_a_principal_hold_during_a_rotation_and_static_tokens_beside_them(
    serve: Serve,
) -> None:
    peer = await serve(entry("old"), "", entry("new"))
    for token, name in (("old", "agent:anna"), ("new", "agent:anna"), ("static", "agent:static")):
        assert await peer.ask(token) == ("OK", name)


@pytest.mark.parametrize("token", ["", "wrong", "OLD", "old,", "ol", "x" * 8193, "a.b.c", digest("old")])
async def test_what_is_no_key_is_refused_whatever_it_looks_like(serve: Serve, token: str) -> None:
    """Faults 5, weak tokens: empty, another case, parts of one, endless text, and the digest itself."""
    peer = await serve(entry("old"))
    assert await peer.ask(token) == ("UNAUTHENTICATED", "BAD_TOKEN")


async def test_an_expired_key_says_so_and_a_stranger_learns_nothing(serve: Serve) -> None:
    peer = await serve(entry("gone", days=-1))
    assert await peer.ask("gone") == ("UNAUTHENTICATED", "KEY_EXPIRED")
    assert await peer.ask("gone2") == ("UNAUTHENTICATED", "BAD_TOKEN")


@pytest.mark.parametrize(
    ("scope", "asked", "watched"),
    [
        ("probe", "OK", "OK"),
        ("probe.read", "OK", "PERMISSION_DENIED"),
        (SERVICE, "OK", "OK"),
        (f"{SERVICE}/Watch", "PERMISSION_DENIED", "OK"),
        (f"{SERVICE}/D", "PERMISSION_DENIED", "PERMISSION_DENIED"),
        ("prob", "PERMISSION_DENIED", "PERMISSION_DENIED"),
        ("tickdesk", "PERMISSION_DENIED", "PERMISSION_DENIED"),
    ],
)
async def test_a_key_calls_what_its_scopes_name(serve: Serve, scope: str, asked: str, watched: str) -> None:
    """What an auditor may call is what only reads."""
    peer = await serve(entry("key", (scope,)))
    for method, code in ((do, asked), (watch, watched)):
        got, reason = await peer.ask("key", method)
        assert got == code
        assert got == "OK" or reason == "SCOPE_NOT_GRANTED"


async def test_a_scope_gives_nothing_that_the_role_has_not(serve: Serve) -> None:
    peer = await serve(entry("key", name="auditor:eve"))
    assert await peer.ask("key") == ("OK", "auditor:eve")
    assert await peer.ask("key", watch) == ("PERMISSION_DENIED", "ROLE_NOT_PERMITTED")


async def test_reflection_has_a_scope_of_its_own(serve: Serve) -> None:
    peer = await serve(entry("key"), entry("mirror", ("reflection",)))
    assert await peer.reflect("key") == "PERMISSION_DENIED"
    assert await peer.reflect("mirror") == "OK"


async def test_a_changed_file_is_taken_and_a_bad_one_leaves_the_good_keys_in_force(serve: Serve) -> None:
    peer = await serve(entry("first"))
    replace(peer.file, entry("second"))
    assert await peer.ask("second") == ("OK", "agent:anna")
    assert await peer.ask("first") == ("UNAUTHENTICATED", "BAD_TOKEN")
    for bad in ("{", entry("third").replace('"probe"', "7"), None):
        if bad is None:
            peer.file.unlink()
        else:
            replace(peer.file, bad)
        assert await peer.ask("second") == ("OK", "agent:anna")
        assert REGISTRY.get_sample_value("tickdesk_keys_file_refused") == 1
    replace(peer.file, entry("third"))
    assert await peer.ask("third") == ("OK", "agent:anna")
    assert REGISTRY.get_sample_value("tickdesk_keys_file_refused") == 0


def test_a_bad_file_at_the_start_names_the_line_and_shows_no_digest(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    with pytest.raises(RuntimeError, match="No such file"):
        Server(ChassisSettings(keys_file=file))
    wrong = entry("key").replace(digest("key"), secret := secrets.token_hex(33))
    file.write_text(f"{entry('one')}\n{wrong}\n")
    with pytest.raises(RuntimeError, match="line 2: sha256: ") as caught:
        Server(ChassisSettings(keys_file=file))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "anna"}, "name: "),
        ({"name": "agent:an na"}, "name: "),
        ({"name": "agent:anna\n"}, "name: "),
        ({"sha256": ""}, "sha256: "),
        ({"sha256": None}, "sha256: "),
        ({"scopes": []}, "scopes: "),
        ({"expires": "2030-01-01T00:00:00"}, "expires: .*timezone"),
        ({"expires": "never"}, "expires: "),
        ({"role": "admin"}, "role: Extra"),
    ],
)
def test_each_fault_of_an_entry_is_named(change: dict[str, Any], said: str) -> None:
    line = json.dumps({**json.loads(entry("key")), **change})
    with pytest.raises(ValueError, match=f"line 1: {said}"):
        read_keys(line)


def test_a_third_live_key_and_a_secret_given_twice_are_refused() -> None:
    gone = entry("gone", days=-1)
    assert len(read_keys("\n".join((gone, entry("a"), entry("b"))))) == 3
    with pytest.raises(ValueError, match="agent:anna has 3 keys in force, at most 2"):
        read_keys("\n".join((entry("a"), entry("b"), entry("c"))))
    with pytest.raises(ValueError, match="two lines hold the same secret"):
        read_keys("\n".join((entry("a"), entry("a", name="admin:root"))))
