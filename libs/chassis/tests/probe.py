"""Messages and a service built at run time, so that these tests need no contract of the product."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import sqlalchemy as sa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from buf.validate import validate_pb2
from chassis.db import Database
from chassis.schema import chassis_tables, plain_engine

PACKAGE = "tickdesk.probe.v1"
SERVICE = f"{PACKAGE}.ProbeService"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="tickdesk/probe/v1/probe.proto", package=PACKAGE, syntax="proto3"
    )
    file.dependency.extend(("buf/validate/validate.proto", "google/protobuf/timestamp.proto"))
    for name in ("Happened", "Followed"):
        message = file.message_type.add(name=name)
        message.field.add(name="id", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
        message.field.add(name="n", number=2, type=_FIELD.TYPE_INT64, label=_FIELD.LABEL_OPTIONAL)
    ask = file.message_type.add(name="Ask")
    name_field = ask.field.add(name="name", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    name_field.options.Extensions[validate_pb2.field].string.max_len = 5
    ask.field.add(name="tags", number=2, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_REPEATED)
    ask.field.add(
        name="inner",
        number=3,
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_REPEATED,
        type_name=f".{PACKAGE}.Ask",
    )
    entry = ask.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    ask.field.add(
        name="labels",
        number=4,
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_REPEATED,
        type_name=f".{PACKAGE}.Ask.LabelsEntry",
    )
    ask.field.add(
        name="since",
        number=5,
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_OPTIONAL,
        type_name=".google.protobuf.Timestamp",
    )
    answer = file.message_type.add(name="Answer")
    answer.field.add(name="text", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    return file


_pool = descriptor_pool.Default()
try:
    _pool.FindFileByName("tickdesk/probe/v1/probe.proto")
except KeyError:
    _pool.Add(_file())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


Happened, Followed, Ask, Answer = (_message(name) for name in ("Happened", "Followed", "Ask", "Answer"))

effect = sa.Table("effect", sa.MetaData(), sa.Column("n", sa.BigInteger), sa.Column("id", sa.Text))


async def create_tables(url: str) -> None:
    """Create the chassis tables and `effect` in an empty database."""
    metadata = sa.MetaData()
    chassis_tables(metadata)
    effect.to_metadata(metadata)
    engine = plain_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all)
    await engine.dispose()


async def rows(db: Database, statement: str) -> list[Any]:
    """Read rows with a plain statement."""
    async with db.tx() as tx:
        return list((await tx.execute(sa.text(statement))).all())


class Probe:
    """A servicer whose methods do what the test says."""

    def __init__(self, answer: Callable[[Any], Awaitable[Message]]) -> None:
        self.answer = answer

    async def unary(self, request: Any, context: Any) -> Message:
        return await self.answer(request)

    async def stream(self, request: Any, context: Any) -> AsyncIterator[Message]:
        yield await self.answer(request)
        yield await self.answer(request)


def add_probe(servicer: Probe, server: grpc.aio.Server) -> None:
    """Register the servicer, as generated code would."""
    codec = {
        "request_deserializer": Ask.FromString,
        "response_serializer": lambda message: message.SerializeToString(),
    }
    handlers = {
        "Do": grpc.unary_unary_rpc_method_handler(servicer.unary, **codec),
        "Watch": grpc.unary_stream_rpc_method_handler(servicer.stream, **codec),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def do(channel: grpc.aio.Channel) -> Any:
    """The unary stub."""
    return channel.unary_unary(
        f"/{SERVICE}/Do", lambda message: message.SerializeToString(), Answer.FromString
    )


def watch(channel: grpc.aio.Channel) -> Any:
    """The streaming stub."""
    return channel.unary_stream(
        f"/{SERVICE}/Watch", lambda message: message.SerializeToString(), Answer.FromString
    )


async def emit(db: Database, *messages: Any, key: str = "k") -> None:
    """Emit events in one transaction."""
    async with db.tx() as tx:
        for message in messages:
            tx.emit(message, key)
