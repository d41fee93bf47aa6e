"""`tickdesk export`: everything that the desk keeps, a file a kind, whole or not there."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict
from rich.progress import Progress, SpinnerColumn, TextColumn

from chassis.clock import utcnow
from tickdesk.intake.v1.intake_service_pb2 import GetAttachmentRequest
from tickdesk.sla.v1.policy_service_pb2 import GetPolicyRequest, ListPoliciesRequest
from tickdesk.tickets.v1 import export_pb2
from tickdesk.tickets.v1.export_service_pb2 import ExportRecordsRequest
from tickdesk_cli.client import Client, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import Problem, bad_input, console, live

MANIFEST, BEGUN = "manifest.json", "begun.json"
_PREFIX = "EXPORT_KIND_"
POLICIES = "policies"
KINDS = (*(each.removeprefix(_PREFIX).lower() for each in export_pb2.ExportKind.keys()[1:]), POLICIES)
_SECONDS = 86_400.0
_TRIES, _PAUSE = 5, 1.0
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_LINE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and where to."""

    folder: Path
    kinds: Sequence[str] = KINDS
    query: str = ""
    public_only: bool = False
    files: bool = False


async def export(desk: Desk, wanted: Wanted) -> None:
    """Write a file a kind and the manifest; what an interrupted run began is gone on with."""
    _check(wanted)
    desk.require()
    wanted.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted.folder.chmod(0o700)
    begin(wanted)
    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed}")
    async with desk.client() as client:
        with Progress(*columns, console=console, disable=not live(), transient=True) as progress:
            for kind in wanted.kinds:
                await _write(client, wanted, kind, progress)
            if wanted.files and "tickets" in wanted.kinds:
                await _fetch_files(client, wanted.folder, progress)
    manifest = _manifest(wanted)
    _put(wanted.folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2).encode() + b"\n")
    (wanted.folder / BEGUN).unlink()
    for each in manifest["files"]:
        console.print(f"{each['records']:>9} in {each['name']}")
    console.print(
        f"Exported to {wanted.folder}. It holds what people wrote: keep it as you keep the database."
    )


def _check(wanted: Wanted) -> None:
    unknown = [each for each in wanted.kinds if each not in KINDS]
    if unknown:
        raise bad_input(f"there is no kind {unknown[0]}", f"It is one of {', '.join(KINDS)}.")
    if (wanted.folder / MANIFEST).exists():
        raise bad_input(f"{wanted.folder} holds an export already", "Name another folder.")
    if wanted.query and tuple(wanted.kinds) != ("tickets",):
        raise bad_input("a query chooses tickets", "Add --kind tickets.")


def begin(wanted: Wanted) -> None:
    """Note what is asked for: what another command left would be taken for a part of this, notes and all.

    Raises Problem.
    """
    told = json.dumps(_asked(wanted)).encode()
    try:
        same = (wanted.folder / BEGUN).read_bytes() == told
    except FileNotFoundError:
        same = not any(wanted.folder.glob("*.jsonl"))
    if not same:
        raise bad_input(
            f"{wanted.folder} holds what another export began", "Type the same again, or name another folder."
        )
    _put(wanted.folder / BEGUN, told)


def _asked(wanted: Wanted) -> dict[str, Any]:
    kinds = list(wanted.kinds)
    return {"kinds": kinds, "query": wanted.query, "public_only": wanted.public_only}


async def _write(client: Client, wanted: Wanted, kind: str, progress: Progress) -> None:
    """One file, beside its name until it is whole; one a version of policies."""
    if kind == POLICIES:
        await _fetch_policies(client, wanted.folder)
        return
    path = wanted.folder / f"{kind}.jsonl"
    if path.exists():
        return
    part, task = path.with_suffix(".part"), progress.add_task(kind, total=None)
    for left in reversed(range(_TRIES)):
        try:
            await _go_on(part, client, wanted, lambda: progress.advance(task))
            break
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AGAIN or not left:
                raise _told(error, part) from error
        await asyncio.sleep(_PAUSE)
    part.rename(path)


async def _go_on(part: Path, client: Client, wanted: Wanted, told: Callable[[], object]) -> None:
    """Add what a file lacks."""
    with _private(part) as file:
        async for line in _lines(client, wanted, part.stem, resume(file)):
            file.write(line)
            told()
        file.flush()
        os.fsync(file.fileno())


def _told(error: grpc.aio.AioRpcError, part: Path) -> Exception:
    if "page_token" in (error.details() or ""):
        return Problem(f"{part} is of another export", "Name another folder, or remove the file.", 2)
    return error


async def _lines(client: Client, wanted: Wanted, kind: str, token: str) -> AsyncIterator[bytes]:
    request = ExportRecordsRequest(
        kind=export_pb2.ExportKind.Value(f"{_PREFIX}{kind.upper()}"),
        page_token=token,
        query=wanted.query if kind == "tickets" else "",
        public_only=wanted.public_only,
    )
    async for answer in client.exports.ExportRecords(request, timeout=_SECONDS):
        yield to_line(answer.record)


def to_line(record: export_pb2.ExportRecord) -> bytes:
    """A record as a line of JSON: its kind, its token where it has one, and itself under the kind."""
    name = record.WhichOneof("record")
    row = {"kind": name, **MessageToDict(record, preserving_proto_field_name=True)}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def resume(file: BinaryIO) -> str:
    """Cut a file that was not finished before its last record with a token, and return that token."""
    file.seek(0)
    place, token, offset = 0, "", 0
    for line in iter(lambda: file.readline(_LINE), b""):
        found = _token(line)
        if found:
            place, token = offset, found
        offset += len(line)
    file.seek(place)
    file.truncate()
    return token


def _token(line: bytes) -> str:
    if b'"page_token":' not in line or not line.endswith(b"\n"):
        return ""
    return str(json.loads(line).get("page_token", ""))


def _private(path: Path) -> BinaryIO:
    """A file for reading and writing that nobody else may read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _put(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with _private(part) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def _manifest(wanted: Wanted) -> dict[str, Any]:
    files = [_described(wanted.folder / f"{kind}.jsonl") for kind in wanted.kinds if kind != POLICIES]
    policies = sorted((wanted.folder / POLICIES).glob("*.yaml")) if POLICIES in wanted.kinds else []
    files += [{**_described(each), "name": f"{POLICIES}/{each.name}", "records": 1} for each in policies]
    return {
        "format": 1,
        "created_time": utcnow().isoformat(timespec="seconds"),
        "query": wanted.query,
        "public_only": wanted.public_only,
        "files": files,
    }


def _described(path: Path) -> dict[str, Any]:
    digest, records = hashlib.sha256(), 0
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_LINE), b""):
            digest.update(line)
            records += line.endswith(b"\n")
    return {"name": path.name, "records": records, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


async def _fetch_policies(client: Client, folder: Path) -> None:
    """Every version of the policy with its calendars, as it was applied."""
    place = folder / POLICIES
    place.mkdir(mode=0o700, exist_ok=True)
    async for page in pages(client.policies.ListPolicies, ListPoliciesRequest()):
        for each in page.policies:
            told = await client.policies.GetPolicy(GetPolicyRequest(version=each.version), timeout=_SECONDS)
            _put(place / f"{told.version}.yaml", told.yaml.encode())


async def _fetch_files(client: Client, folder: Path, progress: Progress) -> None:
    """Every file of a message, under its id; one that is there already is not asked for again."""
    place, task = folder / "files", progress.add_task("files", total=None)
    place.mkdir(mode=0o700, exist_ok=True)
    for each in _attachments(folder / "tickets.jsonl"):
        path = place / each["id"]
        if path.exists():
            continue
        content = bytearray()
        async for answer in client.intake.GetAttachment(
            GetAttachmentRequest(attachment_id=each["id"]), timeout=_SECONDS
        ):
            content += answer.chunk
        if hashlib.sha256(content).hexdigest() != each["sha256"]:
            raise Problem(
                f"the file {each['id']} does not have its digest", "`tickdesk doctor` looks further."
            )
        _put(path, bytes(content))
        progress.advance(task)


def _attachments(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_LINE), b""):
            yield from json.loads(line).get("message", {}).get("attachments", ())
