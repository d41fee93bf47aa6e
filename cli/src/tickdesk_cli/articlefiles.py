"""Articles as Markdown files with front matter: KEY.md, facts as YAML between two lines of ---."""

import io
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from chassis.errors import InvalidInput
from chassis.guard import check_request
from tickdesk.tickets.v1 import knowledge_pb2 as pb
from tickdesk.tickets.v1.knowledge_service_pb2 import CreateArticleRequest
from tickdesk_cli.terminal import bad_input

_FENCE = "---\n"
_MAX_BYTES, _MAX_HEAD = 1_000_000, 10_000
_SHOWN = 20
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,78}[a-z0-9]")
_PLAIN = re.compile(r"\w(?:[\w ./-]*\w)?")
"""Text that needs no quotes wherever it stands."""
_KINDS = ("faq", "operator_guide", "reply_script", "known_issue", "contacts")
_STATES = ("draft", "published", "archived")
_VISIBILITIES = ("internal", "customers")


class FrontMatter(BaseModel):
    """The facts of an article, as files say them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    kind: Literal["faq", "operator_guide", "reply_script", "known_issue", "contacts"]
    language: Literal["ru", "en"]
    owner: str = Field(min_length=1)
    review_date: date | None = None
    state: Literal["draft", "published", "archived"] = "draft"
    visibility: Literal["internal", "customers"] = "internal"
    tags: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArticleFile:
    """One file: what it says, and the line of each of its facts."""

    path: Path
    state: int
    content: pb.ArticleContent
    lines: dict[str, int]

    @property
    def key(self) -> str:
        """The key of the article."""
        return self.path.stem

    def place(self, field: str) -> str:
        """`path:line` of a field of the contract, or the path alone."""
        line = self.lines.get(field.removeprefix("content.").partition("[")[0])
        return f"{self.path}:{line}" if line else str(self.path)


class Faults(Exception):
    """What is wrong with one file, each as `path:line: what`."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read_folder(folder: Path) -> list[ArticleFile]:
    """Every article in a folder and those below it, by path. Raises Problem (code 2) naming every fault."""
    if not folder.is_dir():
        raise bad_input(f"{folder}: no such folder", "Name a folder of KEY.md files.")
    found: list[ArticleFile] = []
    faults: list[str] = []
    for path in sorted(folder.rglob("*.md")):
        if path.name == "README.md":
            continue
        try:
            _require_inside(folder, path)
            found.append(read_file(path))
        except Faults as error:
            faults += error.faults
    faults += _twice(found)
    if faults:
        more = f"\nand {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise bad_input("\n".join(faults[:_SHOWN]) + more, "Nothing was imported.")
    if not found:
        raise bad_input(f"{folder}: no articles here", "Articles are files named KEY.md with front matter.")
    return found


def read_file(path: Path) -> ArticleFile:
    """One article. Raises Faults."""
    if not _KEY.fullmatch(path.stem):
        raise Faults(f"{path}: the name must be 2 to 80 small letters, digits and dashes, then .md")
    text = _text(path)
    head, body = _parts(path, text)
    facts, lines = _facts(path, head)
    file = ArticleFile(path, _STATES.index(facts.state) + 1, _content(facts, body), lines)
    request = CreateArticleRequest(request_id="of no call", key=file.key, content=file.content)
    try:
        check_request(request)
    except InvalidInput as error:
        faults = [f"{file.place(each.field)}: {each.description}" for each in error.violations]
        raise Faults(*faults) from None
    return file


def write_file(article: pb.Article) -> str:
    """The file of an article; reading it gives the article back."""
    content = article.content
    facts: dict[str, Any] = {
        "title": _scalar(content.title),
        "kind": _KINDS[content.kind - 1],
        "language": content.language,
        "owner": _scalar(content.owner),
        "review_date": date.fromisoformat(content.review_date) if content.review_date else None,
        "state": _STATES[article.state - 1],
        "visibility": _VISIBILITIES[content.visibility - 1],
        "tags": [_scalar(each) for each in content.tags],
        "queues": [_scalar(each) for each in content.queues],
        "categories": [_scalar(each) for each in content.categories],
        "components": [_scalar(each) for each in content.components],
    }
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style, yaml.width, yaml.allow_unicode = None, 10_000, True
    yaml.dump({name: value for name, value in facts.items() if value}, stream)
    return f"{_FENCE}{stream.getvalue()}{_FENCE}{content.body}"


def kind_name(content: pb.ArticleContent) -> str:
    """How files call the kind."""
    return _KINDS[content.kind - 1]


def state_name(article: pb.Article) -> str:
    """How files call the state."""
    return _STATES[article.state - 1]


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else DoubleQuotedScalarString(text)


def _require_inside(folder: Path, path: Path) -> None:
    """Raise Faults for what is no file of the folder: folders come out of archives and repositories."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Faults(f"{path}: is a link that leads out of {folder}")
    if path.exists() and not path.is_file():
        raise Faults(f"{path}: is no file")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Faults(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > _MAX_BYTES:
        raise Faults(f"{path}: is longer than {_MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Faults(f"{path}:{line}: is not text in UTF-8") from None


def _parts(path: Path, text: str) -> tuple[str, str]:
    """Front matter and body."""
    if not text.startswith(_FENCE):
        raise Faults(f"{path}:1: must begin with front matter: a line ---, facts in YAML, a line ---")
    head, fence, body = text.removeprefix(_FENCE).partition(f"\n{_FENCE}")
    if not fence:
        raise Faults(f"{path}:1: the front matter does not end: a line --- is missing")
    if len(head) > _MAX_HEAD:
        raise Faults(f"{path}:1: the front matter is longer than {_MAX_HEAD} characters")
    return head, body


def _facts(path: Path, head: str) -> tuple[FrontMatter, dict[str, int]]:
    try:
        content = YAML(pure=True).load(head)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise Faults(f"{path}:{line}: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise Faults(f"{path}:1: {error}") from None
    if not isinstance(content, CommentedMap):
        raise Faults(f"{path}:2: the front matter must be lines of `name: value`")
    # What another mapping is merged into has no line of its own.
    lines = {str(name): mark[0] + 2 for name, mark in (content.lc.data or {}).items()}
    try:
        return FrontMatter.model_validate(dict(content)), lines
    except ValidationError as error:
        told = ((str(each["loc"][0]), each) for each in error.errors())
        faults = [f"{path}:{lines.get(name, 1)}: {name}: {each['msg']}" for name, each in told]
        raise Faults(*faults) from None


def _content(facts: FrontMatter, body: str) -> pb.ArticleContent:
    content = pb.ArticleContent(
        language=facts.language,
        title=" ".join(facts.title.split()),
        body=body,
        owner=facts.owner,
        review_date=facts.review_date.isoformat() if facts.review_date else "",
        tags=facts.tags,
        queues=facts.queues,
        categories=facts.categories,
        components=facts.components,
    )
    content.kind = _number(pb.ArticleKind, _KINDS.index(facts.kind))
    content.visibility = _number(pb.ArticleVisibility, _VISIBILITIES.index(facts.visibility))
    return content


def _number(kind: Any, index: int) -> Any:
    return kind.values()[index + 1]


def _twice(found: list[ArticleFile]) -> list[str]:
    """Files with the key of another one in another folder."""
    first: dict[str, Path] = {}
    return [
        f"{each.path}: the key {each.key} is that of {first[each.key]} too"
        for each in found
        if first.setdefault(each.key, each.path) != each.path
    ]
