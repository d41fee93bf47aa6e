"""A customer's browser as far as a survey needs one: open the link, choose a score, press the button."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import aiohttp

from tickdesk_cli.terminal import Problem

LOW = 3
_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(slots=True)
class _Form:
    """Where a form goes, what it carries, which fields offer which numbers, where words can be typed."""

    action: str
    hidden: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    words: str = ""


class _Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[_Form] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what matters; called by the parser."""
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form":
            self.found.append(_Form(given.get("action", "")))
        elif self.found and name:
            self._add(self.found[-1], tag, (name, value), hidden=given.get("type") == "hidden")

    @staticmethod
    def _add(form: _Form, tag: str, item: tuple[str, str], *, hidden: bool) -> None:
        name, value = item
        if tag == "textarea":
            form.words = name
        elif hidden:
            form.hidden[name] = value
        elif tag in ("input", "button") and value.isdigit():
            form.choices[value] = name


async def look(link: str) -> str:
    """Open the link, as a mail scanner or the customer does. Raises Problem when there is no page."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(link) as answer:
        return await _text(answer)


async def vote(link: str, score: int, comment: str) -> None:
    """Press the button of a score, then leave words where the page asks for them.

    Raises Problem when the page offers no such score or refuses it."""
    form = next((each for each in _Forms(await look(link)).found if str(score) in each.choices), None)
    if form is None:
        raise Problem(f"{link}: the page offers no score {score}", "See the log of survey.")
    after = await _send(link, form, {form.choices[str(score)]: str(score)})
    asks = next((each for each in _Forms(after).found if each.words), None)
    if comment and asks is not None:
        await _send(link, asks, {asks.words: comment})


async def _send(link: str, form: _Form, fields: dict[str, str]) -> str:
    target = urljoin(link, form.action or link)
    data = {**form.hidden, **fields}
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.post(target, data=data) as answer:
        return await _text(answer)


async def _text(answer: aiohttp.ClientResponse) -> str:
    if answer.status != 200:
        raise Problem(f"{answer.url}: HTTP {answer.status}", "See the log of survey.")
    return await answer.text()
