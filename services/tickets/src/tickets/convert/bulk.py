"""Bulks to the contract, and their actions to JSON and back."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from tickdesk.tickets.v1 import bulk_pb2 as pb
from tickets.convert.values import number, timestamp
from tickets.domain.bulk import Bulk, Failure


def to_document(action: pb.BulkAction) -> dict[str, Any]:
    """An action to keep."""
    return MessageToDict(action, preserving_proto_field_name=True)


def from_document(document: Mapping[str, Any]) -> pb.BulkAction:
    """An action that was kept; what a newer version of the service wrote into it is left out."""
    return ParseDict(dict(document), pb.BulkAction(), ignore_unknown_fields=True)


def to_bulk(bulk: Bulk) -> pb.Bulk:
    """A bulk."""
    order = bulk.order
    return pb.Bulk(
        id=order.id,
        state=number(bulk.state),
        action=from_document(order.action),
        query=order.query,
        dry_run=order.dry_run,
        total=bulk.total,
        done=bulk.done,
        failed=bulk.failed,
        cancelled=bulk.cancelled,
        percent=bulk.percent,
        principal=order.principal,
        agent_id=order.agent_id,
        created_time=timestamp(order.created_time),
        updated_time=timestamp(bulk.updated_time),
    )


def to_failure(failure: Failure) -> pb.BulkFailure:
    """A ticket that refused."""
    return pb.BulkFailure(
        ticket_id=failure.ticket_id,
        ticket_key=failure.ticket_key,
        code=failure.code,
        reason=failure.reason,
        field=failure.field,
        message=failure.message,
        time=timestamp(failure.time),
    )
