"""Tickets of other desks out of files: CSV by its headers, or JSON Lines as `tickdesk export` writes them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import ParseDict, ParseError

from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import export_pb2, ticket_pb2, timeline_pb2
from tickdesk.tickets.v1.importing_pb2 import ImportMessage, ImportTicket
from tickdesk_cli.headers import HEADERS
from tickdesk_cli.importvalues import Days, Unreadable, field_value, is_yes, moment, word
from tickdesk_cli.terminal import bad_input

_LINE = 4 * 1024 * 1024
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")
_KINDS = {
    "new": timeline_pb2.STATUS_KIND_NEW,
    **dict.fromkeys(("open", "in progress"), timeline_pb2.STATUS_KIND_OPEN),
    **dict.fromkeys(("pending", "pending reminder", "hold", "on-hold"), timeline_pb2.STATUS_KIND_WAITING),
    **dict.fromkeys(("solved", "resolved", "pending close"), timeline_pb2.STATUS_KIND_RESOLVED),
    **dict.fromkeys(("closed", "merged"), timeline_pb2.STATUS_KIND_CLOSED),
}
_PRIORITIES = {
    "low": common_pb2.PRIORITY_LOW,
    **dict.fromkeys(("normal", "medium"), common_pb2.PRIORITY_NORMAL),
    "high": common_pb2.PRIORITY_HIGH,
    **dict.fromkeys(("urgent", "critical"), common_pb2.PRIORITY_CRITICAL),
}
_TYPES = {
    "question": ticket_pb2.TICKET_TYPE_QUESTION,
    "complaint": ticket_pb2.TICKET_TYPE_COMPLAINT,
    **dict.fromkeys(("task", "change request", "change_request"), ticket_pb2.TICKET_TYPE_CHANGE_REQUEST),
    **dict.fromkeys(("problem", "incident"), ticket_pb2.TICKET_TYPE_INCIDENT),
    **dict.fromkeys(("wish", "feature"), ticket_pb2.TICKET_TYPE_WISH),
}
_WORDS: Mapping[str, Mapping[str, int]] = {"priority": _PRIORITIES, "type": _TYPES}
_PLAIN = ("subject", "customer_name", "assignee", "category", "component", "edition", "customer_number")
_TIMES = ("created_time", "updated_time", "resolved_time", "closed_time")
_COPIED = (
    *("subject", "status", "status_kind", "type", "priority", "line", "assignee", "category", "component"),
    *("edition", "customer_number", "language"),
)


@dataclass(slots=True)
class Row:
    """A ticket of a file with the line that it begins on, and what cannot be read of it by column."""

    line: int
    ticket: ImportTicket
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: the queue, columns by field, the encoding, the zone of times without one.

    Types of custom fields are those of the queue; what is not known is taken as text.
    """

    queue: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    source: str = "csv"
    encoding: str = "utf-8-sig"
    zone: tzinfo = UTC
    day_first: bool = False
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def days(self) -> Days:
        """How times are read."""
        return Days(self.zone, day_first=self.day_first)


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Tickets one after the other. Raises Problem for a file that cannot be read at all."""
    with _opened(path, reading.encoding) as file:
        try:
            yield from (_jsonl(file, reading) if path.suffix == ".jsonl" else _csv(path, file, reading))
        except UnicodeError as error:
            place = f": byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
            raise bad_input(
                f"{path} is not text in {reading.encoding.removesuffix('-sig').upper()}{place}",
                "A file of a Russian Windows is read with --encoding cp1251.",
            ) from None
        except csv.Error as error:
            raise bad_input(f"{path}: {error}", "A field may have 4 MB.") from None


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    try:
        with path.open("rb") as raw:
            if raw.read(8).startswith(_ARCHIVES):
                raise bad_input(f"{path} is an archive", "Unpack it first.")
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as error:
        raise bad_input(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except LookupError:
        raise bad_input(f"there is no encoding {encoding}", "Such as utf-8 or cp1251.") from None


def columns_of(headers: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The header of each field that a file has: what was chosen, else a usual one. Raises Problem."""
    found = {each: each for each in headers if each.startswith("field.")} | _usual(headers, chosen)
    for name, header in chosen.items():
        if header and header not in headers:
            raise bad_input(f"--map {name}={header}: no such column", f"There are {', '.join(headers)}.")
        if name not in HEADERS and not name.startswith("field."):
            raise bad_input(f"--map knows no {name}", f"It knows {', '.join(HEADERS)}, field.KEY.")
    found |= {name: header for name, header in chosen.items() if header}
    missing = [each for each in ("external_id", "subject", "email", "created_time") if each not in found]
    if missing:
        remedy = f"Say which: --map {missing[0]}=COLUMN, one of {', '.join(headers)}."
        raise bad_input(f"no column for {', '.join(missing)}", remedy)
    return found


def _usual(headers: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Headers by the fields that they usually are; each is one field."""
    plain = {re.sub(r"[\s_-]+", " ", each.strip().lower()): each for each in headers}
    found: dict[str, str] = {}
    for name in (each for each in HEADERS if each not in chosen):
        free = (plain[each] for each in HEADERS[name] if each in plain)
        header = next((each for each in free if each not in (*found.values(), *chosen.values())), None)
        if header:
            found[name] = header
    return found


def _csv(path: Path, file: TextIO, reading: Reading) -> Iterator[Row]:
    csv.field_size_limit(_LINE)
    head = file.readline(_LINE)
    delimiter = max(",;\t", key=head.count)
    headers = next(csv.reader([head], delimiter=delimiter), [])
    if not headers:
        raise bad_input(f"{path} has no header")
    columns = columns_of(headers, reading.columns)
    begin = file.tell()
    apart = _apart(file, delimiter, headers.index(columns["external_id"]))
    file.seek(begin)
    present: Row | None = None
    for line, cells in _lines(file, delimiter):
        values = dict(zip(headers, cells, strict=False))
        told = {name: values.get(header, "").strip() for name, header in columns.items()}
        name = told["external_id"]
        if present and (not name or present.ticket.external_id != f"{reading.source}:{name}"):
            yield present
            present = None
        if present is None:
            present = _begin(line, told, reading, columns)
            if not name or name in apart:
                fault = "is empty" if not name else "has rows that stand apart: sort the file by it"
                present.faults.append((columns["external_id"], fault))
        _say(present, told, reading, columns)
    if present:
        yield present


def _apart(file: TextIO, delimiter: str, column: int) -> set[str]:
    """Ids whose rows do not follow each other: the first would come in without what the others say."""
    over, apart, present = set[str](), set[str](), ""
    for _, cells in _lines(file, delimiter):
        name = cells[column].strip() if column < len(cells) else ""
        if name != present:
            over.add(present)
            present = name
            if name in over:
                apart.add(name)
    return apart


def _lines(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows below the header that hold anything, with the lines on which they begin."""
    rows = csv.reader(iter(lambda: file.readline(_LINE), ""), delimiter=delimiter)
    line = 2
    for cells in rows:
        if any(each.strip() for each in cells):
            yield line, cells
        line = rows.line_num + 2


def _begin(line: int, told: Mapping[str, str], reading: Reading, columns: Mapping[str, str]) -> Row:
    """The ticket of a row without its message."""
    ticket = ImportTicket(external_id=f"{reading.source}:{told['external_id']}", queue=reading.queue)
    for name in _PLAIN:
        setattr(ticket, name, told.get(name, ""))
    ticket.contact.channel = common_pb2.CHANNEL_EMAIL
    ticket.contact.address = told["email"]
    ticket.tags.extend(dict.fromkeys(re.findall(r"[^\s,;]+", told.get("tags", ""))))
    ticket.language = told.get("language", "")[:2].lower()
    row = Row(line, ticket)
    state = told.get("status", "").lower()
    if state in _KINDS:
        ticket.status_kind = _KINDS[state]
    else:
        ticket.status = state
    for name, header in columns.items():
        if told[name]:
            _value(row, name, told[name], header, reading)
    return row


def _value(row: Row, name: str, text: str, header: str, reading: Reading) -> None:
    """A value that has to be read; one that cannot be is a fault of its column."""
    try:
        if name in _TIMES:
            getattr(row.ticket, name).FromDatetime(moment(text, reading.days))
        elif name in _WORDS:
            setattr(row.ticket, name, word(text, _WORDS[name]))
        elif name.startswith("field."):
            key = name.removeprefix("field.")
            row.ticket.fields[key].CopyFrom(field_value(text, reading.types.get(key, 0), reading.days))
    except Unreadable as error:
        row.faults.append((header, str(error)))


def _say(row: Row, told: Mapping[str, str], reading: Reading, columns: Mapping[str, str]) -> None:
    """The message of a line."""
    message = ImportMessage(text=told.get("text", "") or row.ticket.subject)
    message.visibility = ticket_pb2.VISIBILITY_INTERNAL
    author = told.get("author", "")
    by_agent = author and author.lower() not in ("customer", "end-user", row.ticket.contact.address.lower())
    message.author.kind = common_pb2.Actor.KIND_AGENT if by_agent else common_pb2.Actor.KIND_CUSTOMER
    if by_agent:
        message.author.id = message.author.name = author
    message.created_time.CopyFrom(row.ticket.created_time)
    for name in (each for each in ("internal", "message_time") if each in columns):
        try:
            if name == "message_time" and told[name]:
                message.created_time.FromDatetime(moment(told[name], reading.days))
            elif name == "internal" and not is_yes(told[name]):
                message.visibility = ticket_pb2.VISIBILITY_PUBLIC
        except Unreadable as error:
            row.faults.append((columns[name], str(error)))
    if "internal" not in columns:
        message.visibility = ticket_pb2.VISIBILITY_PUBLIC
    row.ticket.messages.append(message)


def _jsonl(file: TextIO, reading: Reading) -> Iterator[Row]:
    """Tickets with the messages that follow them, or tickets in the shape of an import."""
    present: Row | None = None
    for line, text in enumerate(iter(lambda: file.readline(_LINE), ""), start=1):
        try:
            document = _object(text)
            if document.get("kind") == "message" and present:
                message = ParseDict({"message": document["message"]}, export_pb2.ExportRecord()).message
                _add(present.ticket, message)
                continue
            if present:
                yield present
            present = None
            present = Row(line, _ticket(document, reading))
        except (Unreadable, ParseError) as error:
            if present:
                # Perhaps one of its messages: it would come in without it, and be known from then on.
                present.faults.append(("", f"line {line} {error}"))
            else:
                yield Row(line, ImportTicket(), [("", str(error))])
    if present:
        yield present


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unreadable("must be an object")
    return found


def _ticket(document: Mapping[str, Any], reading: Reading) -> ImportTicket:
    kind = document.get("kind")
    if kind is None:
        made = ParseDict(dict(document), ImportTicket())
        made.queue = reading.queue or made.queue
        return made
    if kind != "ticket":
        raise Unreadable(f"is a {kind}; only tickets and their messages are imported")
    told = ParseDict({"ticket": document.get("ticket")}, export_pb2.ExportRecord()).ticket
    made = ImportTicket(external_id=told.id, queue=reading.queue or told.queue)
    for name in _COPIED:
        setattr(made, name, getattr(told, name))
    for name in (each for each in _TIMES if told.HasField(each)):  # type: ignore[arg-type]
        getattr(made, name).CopyFrom(getattr(told, name))
    made.tags.extend(told.tags)
    for key, value in told.fields.items():
        made.fields[key].CopyFrom(value)
    made.customer_name = told.customer.name
    made.contact.CopyFrom(_contact(told.customer.contacts, told.channel))
    return made


def _contact(contacts: Iterable[ticket_pb2.Contact], channel: int) -> ticket_pb2.Contact:
    """The address of the channel that the ticket came by, else any."""
    found = sorted(contacts, key=lambda each: each.channel != channel)
    if not found:
        raise Unreadable("its customer has no address")
    return found[0]


def _add(ticket: ImportTicket, told: ticket_pb2.TicketMessage) -> None:
    names = ", ".join(each.filename for each in told.attachments)
    message = ticket.messages.add(
        author=told.author, visibility=told.visibility, text=told.text or names or "-"
    )
    message.created_time.CopyFrom(told.created_time)
    if told.author.kind == common_pb2.Actor.KIND_CUSTOMER:
        # Ids of customers are new here.
        message.author.id = ""
