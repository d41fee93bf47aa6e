"""Setups of queues as YAML files: the message Setup as JSON, with the names of the contract."""

import io
import re
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from rich.text import Text
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from chassis.errors import InvalidInput
from chassis.guard import check_request
from tickdesk.tickets.v1.setup_pb2 import Setup, SetupFinding
from tickdesk_cli.terminal import bad_input
from tickets.convert import setup as convert
from tickets.domain import setup as domain

MAX_BYTES = 1 << 20
"""Of the longest file that is read: no desk takes more in one call."""
_HINT = "`tickdesk queue export` shows the shape; docs/guides/queues.md explains it."
_PLAIN = re.compile(r"[^\W\d_][\w ./-]*\w|[^\W\d_]")
# How the parser of JSON tells where it stumbled.
_PARENT = re.compile(r"Failed to parse (\w+) field: ")
_PLACE = re.compile(r' at "?Setup\.?([\w.\[\]]*\w\]?|)"?')
_STEP = re.compile(r"(\w+)|\[(\d+)\]")
_TYPE = re.compile(r'Message type "[\w.]+"')


def read(path: Path) -> Setup:
    """The setup in a file. Raises Problem (code 2) that names what cannot be read in it."""
    content = _load(path)
    if not isinstance(content, dict):
        raise bad_input(f"{path}: is no setup of a queue", _HINT)
    try:
        return ParseDict(content, Setup())
    except ParseError as error:
        raise bad_input(f"{path}: {_words(str(error))}", _HINT) from None


def check(setup: Setup) -> list[SetupFinding]:
    """All that is wrong or doubtful in a setup, as far as no desk is needed to tell."""
    try:
        check_request(setup)
    except InvalidInput as error:
        return convert.to_findings([(each.field, each.description) for each in error.violations], [])
    found = convert.from_document(convert.to_document(setup))
    return convert.to_findings(domain.faults(found), domain.doubts(found))


def shown(path: Path, finding: SetupFinding) -> Text:
    """A finding as one line, which begins with its place in the file."""
    wrong = finding.severity == SetupFinding.SEVERITY_ERROR
    word, style = ("error", "bold red") if wrong else ("warning", "bold magenta")
    line, column = place(path, finding.path)
    return Text.assemble(f"{path}:{line}:{column}: ", (word, style), f": {finding.path}: {finding.message}")


def found(path: Path, finding: SetupFinding) -> dict[str, object]:
    """The same for programs."""
    line, column = place(path, finding.path)
    told = MessageToDict(finding, preserving_proto_field_name=True)
    return {"file": str(path), "line": line, "column": column, **told}


def place(path: Path, wanted: str) -> tuple[int, int]:
    """Line and column of a part of a setup (`workflow.statuses[2].key`), or of what it is missing in."""
    node = YAML(pure=True).compose(path.read_text("utf-8"))
    mark = node.start_mark
    for name, index in _STEP.findall(wanted):
        found = _child(node, name, int(index or -1))
        if found is None:
            break
        mark, node = found[0].start_mark, found[1]
    return mark.line + 1, mark.column + 1


def _child(node: Any, name: str, index: int) -> tuple[Any, Any] | None:
    """Where a part begins, with its key, and the part itself."""
    if isinstance(node, MappingNode):
        return next((pair for pair in node.value if pair[0].value == name), None)
    if isinstance(node, SequenceNode) and 0 <= index < len(node.value):
        return node.value[index], node.value[index]
    return None


def to_yaml(setup: Setup) -> str:
    """The setup as it can be kept in a file, changed and applied."""
    content = MessageToDict(setup, preserving_proto_field_name=True)
    for name in ("queue", "version", "actor", "created_time"):
        content.pop(name, None)
    writer, text = YAML(pure=True), io.StringIO()
    writer.default_flow_style, writer.width = None, 110
    writer.dump(_quoted({"queue": setup.queue, "version": setup.version, **content}), text)
    return text.getvalue()


def plain(message: Message) -> object:
    """A message as JSON for programs."""
    return MessageToDict(message, preserving_proto_field_name=True)


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise bad_input(f"{path}: is longer than {MAX_BYTES} bytes", "No desk takes more in one call.")
        return YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except OSError as error:
        raise bad_input(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise bad_input(f"{path}{where}: {error.problem}") from None
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise bad_input(f"{path}: is no YAML in UTF-8: {error}") from None


def _quoted(value: Any) -> Any:
    """The same with quotes around texts that a reader of YAML could take for something else."""
    match value:
        case dict():
            return {name: _quoted(part) for name, part in value.items()}
        case list():
            return [_quoted(part) for part in value]
        case str() if not _PLAIN.fullmatch(value):
            return DoubleQuotedScalarString(value)
    return value


def _words(text: str) -> str:
    """What the parser of JSON says, its place first, without the names of our messages."""
    line = text.splitlines()[0]
    parents, place = _PARENT.findall(line), _PLACE.search(line)
    path = place[1] if place and place[1] else ".".join(parents)
    told = _TYPE.sub("this", _PLACE.sub("", _PARENT.sub("", line))).rstrip(". ")
    return f"{path}: {told}" if path else told
