"""The process that reads mail for intake: hostile bytes may hang or kill it, and nothing else.

Speaks over its standard input and output: a length and a JSON head, a length and a body, both ways."""

import resource
import struct
import sys
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import orjson
from pydantic import TypeAdapter

from chassis.errors import InvalidInput
from intake.domain import Limits, ParsedMail
from intake.mail import understand

LENGTH = struct.Struct(">I")
_mails = TypeAdapter(ParsedMail)


def pack(head: dict[str, Any], body: bytes) -> bytes:
    """One message of the conversation between the two processes."""
    encoded = orjson.dumps(head)
    return LENGTH.pack(len(encoded)) + encoded + LENGTH.pack(len(body)) + body


def dump(mail: ParsedMail) -> bytes:
    """A parsed mail as JSON, and after it the bytes of its files."""
    described = tuple(replace(each, content=b"") for each in mail.attachments)
    sizes = [each.size for each in mail.attachments]
    text = _mails.dump_json(replace(mail, attachments=described))
    return pack({"sizes": sizes}, text) + b"".join(each.content for each in mail.attachments)


def load(data: bytes) -> ParsedMail:
    """The opposite of `dump`. Raises ValueError for anything else."""
    source = BytesIO(data)
    head, text = _receive(source) or b"", _receive(source) or b""
    mail = _mails.validate_json(text)
    files = zip(mail.attachments, orjson.loads(head)["sizes"], strict=True)
    return replace(mail, attachments=tuple(replace(each, content=source.read(size)) for each, size in files))


def serve(source: BinaryIO, target: BinaryIO, limits: Limits) -> None:
    """Answer until the input ends."""
    while (head := _receive(source)) is not None:
        body = _receive(source)
        if body is None:
            return
        target.write(_answer(orjson.loads(head), body, limits))
        target.flush()


def _answer(head: dict[str, Any], raw: bytes, limits: Limits) -> bytes:
    try:
        recipients = tuple(head["recipients"])
        mail = understand(raw, limits=limits, mail_from=head["mail_from"], recipients=recipients)
    except InvalidInput as error:
        return pack({"refused": error.message, "reason": error.reason}, b"")
    return pack({}, dump(mail))


def _receive(source: BinaryIO) -> bytes | None:
    size = source.read(LENGTH.size)
    if len(size) < LENGTH.size:
        return None
    length = LENGTH.unpack(size)[0]
    data = source.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Arguments: the limits as JSON and the address space in MiB."""
    limits, memory = Limits(**orjson.loads(sys.argv[1])), int(sys.argv[2]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer, limits)


if __name__ == "__main__":
    main()
