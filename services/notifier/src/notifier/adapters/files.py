"""Files of letters, out of intake's store."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from chassis.channel import channel
from chassis.errors import Refused, Unavailable
from notifier.domain import File
from tickdesk.intake.v1.intake_service_pb2 import GetAttachmentRequest
from tickdesk.intake.v1.intake_service_pb2_grpc import IntakeServiceStub

# All of them, so that an attempt still ends before its lease does.
_SECONDS = 4.0
_LATER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Source:
    """Where intake is, and how to call it; without an address no letter with files leaves."""

    target: str
    token: str
    ca: str | None = None


class Files:
    """Reads files from intake; an async context manager."""

    def __init__(self, source: Source, max_bytes: int) -> None:
        self._channel = channel(source.target, source.token, source.ca) if source.target else None
        self._max_bytes = max_bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel:
            await self._channel.close()

    async def read(self, files: tuple[File, ...]) -> list[bytes]:
        """The bytes of each. Raises Refused (too many, gone), Unavailable (later)."""
        if not files:
            return []
        if self._channel is None:
            raise Refused("files cannot be sent: intake_target is not set", reason="NO_FILES")
        if sum(each.size for each in files) > self._max_bytes:
            raise Refused(f"the files are more than {self._max_bytes} bytes", reason="FILES_TOO_LARGE")
        stub = IntakeServiceStub(self._channel)
        try:
            async with asyncio.timeout(_SECONDS):
                return [await _bytes_of(stub, each) for each in files]
        except TimeoutError as error:
            raise Unavailable(f"the files were not read within {_SECONDS} s") from error
        except grpc.aio.AioRpcError as error:
            text = f"a file cannot be read: {error.code().name}"
            if error.code() in _LATER:
                raise Unavailable(text) from error
            raise Refused(text, reason="FILE_GONE") from error


async def _bytes_of(stub: Any, file: File) -> bytes:
    pieces = stub.GetAttachment(GetAttachmentRequest(attachment_id=file.id), timeout=_SECONDS)
    return b"".join([piece.chunk async for piece in pieces])
