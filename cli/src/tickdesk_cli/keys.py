"""`tickdesk keys`: API keys for other programs, kept in a file that every service reads."""

import difflib
import importlib
import pkgutil
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

import tickdesk
from chassis.clock import utcnow
from chassis.identity import Key, digest, read_keys
from tickdesk.common.v1 import access_pb2
from tickdesk_cli.terminal import Problem, bad_input, console, errors

PREFIX = "tdk_"
"""Begins each secret, so that scanners of repositories and logs can find one that got lost."""
_SECRET_BYTES = 32
_SOON = timedelta(days=14)
_ROLES = [name.removeprefix("ROLE_").lower() for name in access_pb2.Role.keys()[1:]]


async def new(name: str, scopes: list[str], days: int) -> None:
    """A secret, shown once, and the entry of its file."""
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    expires = utcnow().replace(microsecond=0) + timedelta(days=days)
    try:
        key = Key(name=name, sha256=digest(secret), scopes=tuple(scopes), expires=expires)
    except ValidationError:
        raise bad_input(f"{name} is no principal", "Write role:name, as in adapter:crm.") from None
    for fault in _faults(key):
        raise bad_input(fault)
    errors.print(f"The secret of {name}, shown this once:")
    errors.print(secret, style="bold", soft_wrap=True)
    print(key.model_dump_json())


async def overview(file: Path) -> None:
    """The table of a file's keys."""
    table = Table("name", "key", "scopes", "expires", "", box=None)
    now = utcnow()
    for key in sorted(_read(file), key=lambda each: (each.name, each.expires)):
        when = f"{key.expires:%Y-%m-%d}"
        table.add_row(key.name, key.sha256[:8], ", ".join(key.scopes), when, _state(key, now))
    console.print(table)


async def check(file: Path) -> int:
    """Whether services can read the file; 1 for faults."""
    keys = _read(file)
    faults = [f"{key.name} ({key.sha256[:8]}): {fault}" for key in keys for fault in _faults(key)]
    for fault in faults:
        console.print(Text(fault), soft_wrap=True)
    now = utcnow()
    expired = sum(key.expires <= now for key in keys)
    soon = sum(now < key.expires <= now + _SOON for key in keys)
    console.print(f"{len(keys)} keys, {expired} expired, {soon} expire within {_SOON.days} days, ", end="")
    console.print(f"{len(faults)} faults")
    return 1 if faults else 0


def _read(file: Path) -> list[Key]:
    try:
        return read_keys(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise bad_input(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise Problem(f"{file}: {error}", "Services keep the keys they had until this is mended.") from None


def _faults(key: Key) -> Iterator[str]:
    role = key.name.partition(":")[0]
    if role not in _ROLES:
        yield f"no role {role}: there are {', '.join(_ROLES)}"
    known = set(scopes_of(services()))
    for scope in key.scopes:
        if scope not in known:
            close = difflib.get_close_matches(scope, known, n=1)
            yield f"no scope {scope}" + (f", did you mean {close[0]}?" if close else "")


def _state(key: Key, now: datetime) -> Text:
    if key.expires <= now:
        return Text("expired", style="red")
    return Text("expires soon", style="yellow") if key.expires <= now + _SOON else Text("in force")


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the contracts."""
    for module in pkgutil.walk_packages(tickdesk.__path__, "tickdesk."):
        if module.name.endswith("_service_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()


def scopes_of(found: Iterable[ServiceDescriptor]) -> Iterator[str]:
    """What a key may be given: packages, what only reads in them, services and methods."""
    yield "reflection"
    for service in found:
        package = service.full_name.split(".")[1]
        yield from (package, f"{package}.read", service.full_name)
        yield from (f"{service.full_name}/{method.name}" for method in service.methods)
