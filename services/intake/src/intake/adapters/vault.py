"""Files and raw messages outside the database: a folder, or a bucket by URL."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from chassis.errors import NotFound, Unavailable

_CHUNK = 256 * 1024


class Vault:
    """Objects by id. Names of files never become keys. An async context manager."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._store: ObjectStore | None = None
        remote = "://" in place and not place.startswith("file://")
        self._folder = None if remote else Path(place.removeprefix("file://")).absolute()

    async def __aenter__(self) -> Self:
        if self._folder is None:
            self._store = from_url(self._place)
        else:
            self._store = LocalStore(self._folder, mkdir=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store = None

    async def put(self, identity: str, content: bytes) -> None:
        """Write an object; on disk for good when this returns. Raises Unavailable."""
        key = _key(identity)
        try:
            await obstore.put_async(self._opened(), key, content)
            if self._folder is not None:
                await asyncio.to_thread(_flush, self._folder / key)
        except (BaseError, OSError) as error:
            raise Unavailable(
                "the object store does not take files, try again", reason="STORE_AWAY"
            ) from error

    async def read(self, identity: str) -> AsyncIterator[bytes]:
        """The content in pieces of at most 256 KiB. Raises NotFound or Unavailable."""
        try:
            found = await obstore.get_async(self._opened(), _key(identity))
            async for piece in found.stream(min_chunk_size=_CHUNK):
                whole = memoryview(piece)
                for start in range(0, len(whole), _CHUNK):
                    yield bytes(whole[start : start + _CHUNK])
        except FileNotFoundError as error:
            raise NotFound(f"the file {identity} is gone", reason="ATTACHMENT_NOT_FOUND") from error
        except (BaseError, OSError) as error:
            raise Unavailable("the object store does not answer, try again", reason="STORE_AWAY") from error

    def _opened(self) -> ObjectStore:
        if self._store is None:
            raise RuntimeError("the vault is not open")
        return self._store


def _key(identity: str) -> str:
    """The last letters of an id are random, so that no folder gets all files of a day."""
    return f"{identity[-2:]}/{identity}"


def _flush(path: Path) -> None:
    """Through the caches of the system: a message is acknowledged right after."""
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
