"""What each `tickdesk kb` command does; all return an exit code or None for 0."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tickdesk.tickets.v1 import knowledge_pb2 as knowledge
from tickdesk.tickets.v1 import knowledge_service_pb2 as pb
from tickdesk_cli import articlefiles
from tickdesk_cli.articlefiles import ArticleFile, kind_name, state_name
from tickdesk_cli.client import SECONDS, Client, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import bad_input, clean, console, errors, live

_ARCHIVED, _DRAFT = knowledge.ARTICLE_STATE_ARCHIVED, knowledge.ARTICLE_STATE_DRAFT
_OURS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION)
"""A call that fails so is the fault of one file; any other failure ends the import."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which articles to list."""

    state: str = ""
    owner: str = ""
    language: str = ""
    queue: str = ""

    def request(self) -> pb.ListArticlesRequest:
        """As the service takes it."""
        request = pb.ListArticlesRequest(owner=self.owner, language=self.language, queue=self.queue)
        if self.state:
            request.state = knowledge.ArticleState.Value(f"ARTICLE_STATE_{self.state.upper()}")
        return request


async def import_folder(desk: Desk, folder: Path, comment: str, dry_run: bool) -> int:
    """Make the desk's articles what a folder says; articles that it does not name stay."""
    files = articlefiles.read_folder(folder)
    desk.require()
    counts: Counter[str] = Counter()
    async with desk.client() as client:
        with _progress("importing", len(files)) as advance:
            for file in files:
                counts[await _import(client, file, comment, dry_run=dry_run)] += 1
                advance()
    words = ("created", "updated", "unchanged", "failed")
    told = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    console.print(Text(f"{told}{' if it were no dry run' if dry_run else ''}"))
    return 1 if counts["failed"] else 0


async def export_folder(desk: Desk, folder: Path, wanted: Wanted, force: bool) -> None:
    """Write every article to KEY.md. Raises Problem (code 2) before it would lose what a file says."""
    desk.require()
    async with desk.client() as client:
        found = [one async for page in _articles(client, wanted) for one in page.articles]
        texts: dict[Path, str] = {}
        with _progress("reading", len(found)) as advance:
            for one in found:
                texts[folder / f"{one.key}.md"] = articlefiles.write_file(await _load(client, one.key))
                advance()
    differing = [path for path, text in texts.items() if path.exists() and _differs(path, text)]
    if differing and not force:
        names = "\n".join(str(path) for path in differing[:20])
        raise bad_input(f"these files say something else:\n{names}", "--force writes over them.")
    _write_files(folder, texts)
    console.print(f"{len(texts)} articles in {folder}")


async def overview(desk: Desk, wanted: Wanted, as_json: bool) -> None:
    """The table of articles."""
    desk.require()
    async with desk.client() as client:
        found = [one async for page in _articles(client, wanted) for one in page.articles]
    if as_json:
        _write([_plain(one) for one in found])
    elif found:
        console.print(_table(found))
    else:
        console.print("No articles: `tickdesk kb import examples/knowledge` brings a first twenty.")


async def search(desk: Desk, text: str, ticket: str, limit: int, as_json: bool) -> int:
    """What a search finds; 1 when it finds nothing."""
    desk.require()
    request = pb.SearchArticlesRequest(text=text, ticket=ticket, page_size=limit)
    async with desk.client() as client:
        found = await client.knowledge.SearchArticles(request, timeout=SECONDS)
    if as_json:
        _write(_plain(found))
    else:
        for line in _lines(found):
            console.print(line, soft_wrap=True)
    return 0 if found.hits else 1


async def stale(desk: Desk, days: int, owner: str, as_json: bool) -> int:
    """What somebody should look at; 1 when there is anything."""
    desk.require()
    request = pb.ListStaleArticlesRequest(unused_days=days, owner=owner)
    async with desk.client() as client:
        listed = pages(client.knowledge.ListStaleArticles, request)
        found = [one async for page in listed for one in page.articles]
    if as_json:
        _write([_plain(one) for one in found])
    elif found:
        console.print(_stale_table(found))
    else:
        console.print("Nothing is stale.")
    return 1 if found else 0


async def _import(client: Client, file: ArticleFile, comment: str, *, dry_run: bool) -> str:
    """Bring one file in; returns what became of it."""
    try:
        present = await _present(client, file.key)
        if present is None:
            if not dry_run:
                await _create(client, file, comment)
            return "created"
        if present.content == file.content and present.state == file.state:
            return "unchanged"
        if not dry_run:
            await _update(client, file, present, comment)
        return "updated"
    except grpc.aio.AioRpcError as error:
        if error.code() not in _OURS:
            raise
        errors.print(Text(_fault(file, error), style="red"), soft_wrap=True)
        return "failed"


async def _create(client: Client, file: ArticleFile, comment: str) -> None:
    request = pb.CreateArticleRequest(
        request_id=str(uuid4()), key=file.key, content=file.content, comment=comment
    )
    made = await client.knowledge.CreateArticle(request, timeout=SECONDS)
    await _move(client, made.article, file.state, comment)


async def _update(client: Client, file: ArticleFile, present: knowledge.Article, comment: str) -> None:
    if present.content != file.content:
        if present.state == _ARCHIVED:
            present = await _move(client, present, _DRAFT, comment)
        request = pb.UpdateArticleRequest(
            request_id=str(uuid4()),
            article=file.key,
            version=present.version,
            content=file.content,
            comment=comment,
        )
        present = (await client.knowledge.UpdateArticle(request, timeout=SECONDS)).article
    await _move(client, present, file.state, comment)


async def _move(client: Client, article: knowledge.Article, state: int, comment: str) -> knowledge.Article:
    if article.state == state:
        return article
    request = pb.ChangeArticleStateRequest(
        request_id=str(uuid4()),
        article=article.key,
        version=article.version,
        state=state,  # type: ignore[arg-type]
        comment=comment,
    )
    return (await client.knowledge.ChangeArticleState(request, timeout=SECONDS)).article


async def _present(client: Client, key: str) -> knowledge.Article | None:
    try:
        return await _load(client, key)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


async def _load(client: Client, key: str) -> knowledge.Article:
    return (await client.knowledge.GetArticle(pb.GetArticleRequest(article=key), timeout=SECONDS)).article


def _articles(client: Client, wanted: Wanted) -> Any:
    return pages(client.knowledge.ListArticles, wanted.request())


def _fault(file: ArticleFile, error: grpc.aio.AioRpcError) -> str:
    """A refusal of the desk at the line that it is about."""
    status = rpc_status.from_call(error)
    bad = error_details_pb2.BadRequest()
    found = [each for each in (status.details if status else ()) if each.Unpack(bad)]
    field = bad.field_violations[0].field if found and bad.field_violations else ""
    return f"{file.place(field)}: {error.details()}"


def _write_files(folder: Path, texts: dict[Path, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def _differs(path: Path, text: str) -> bool:
    return path.read_bytes() != text.encode()


@contextmanager
def _progress(word: str, total: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not live(), transient=True) as progress:
        task = progress.add_task(word, total=total)
        yield lambda: progress.advance(task)


def _table(found: list[knowledge.Article]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("key", "state", "kind", "owner", "review"):
        table.add_column(name, no_wrap=True)
    table.add_column("uses", justify="right")
    table.add_column("title", overflow="fold")
    for one in found:
        content = one.content
        facts = (one.key, state_name(one), kind_name(content), content.owner, content.review_date)
        table.add_row(*(Text(clean(each)) for each in facts), str(one.use_count), Text(clean(content.title)))
    return table


def _stale_table(found: list[knowledge.StaleArticle]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("key", "owner", "review", "last used"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in found:
        article = one.article
        used = f"{article.last_used_time.ToDatetime():%Y-%m-%d}" if article.use_count else "never"
        reasons = ((one.review_overdue, "its review date has passed"), (one.unused, "no ticket used it"))
        why = ", ".join(text for holds, text in reasons if holds)
        facts = (article.key, article.content.owner, article.content.review_date, used, why)
        table.add_row(*(Text(clean(each)) for each in facts))
    return table


def _lines(found: pb.SearchArticlesResponse) -> Iterator[Text]:
    if found.corrected_text:
        yield Text(f"searched for: {clean(found.corrected_text)}", style="magenta")
    if found.partial:
        yield Text("no article has all of the words, these have some:", style="magenta")
    for hit in found.hits:
        yield Text.assemble((hit.article.key, "bold"), "  ", _pieces(hit.title))
        yield Text("  ").append_text(_pieces(hit.passage))
    if not found.hits:
        yield Text("Nothing found.")


def _pieces(pieces: Any) -> Text:
    text = Text()
    for piece in pieces:
        text.append(" ".join(clean(piece.text).split("\n")), style="green" if piece.match else None)
    return text


def _plain(message: Message) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True)


def _write(content: object) -> None:
    console.file.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
