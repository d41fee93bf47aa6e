"""A customer's browser as far as a survey needs one: open the link, choose a score, press the button."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import aiohttp

from tickdesk_cli.terminal import Problem

LOW = 3
_TIMEOUT = aiohttp.ClientTimeout(total=15)


class _Form(HTMLParser):
    """The first form of a page: where it goes, what it carries, which fields offer which values."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self.choices: dict[str, str] = {}
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what matters; called by the parser."""
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form" and self.action is None:
            self.action = given.get("action", "")
        elif tag == "textarea" and name:
            self.words = name
        elif tag in ("input", "button") and name:
            if given.get("type") == "hidden":
                self.hidden[name] = value
            elif value.isdigit():
                self.choices[value] = name


async def look(link: str) -> str:
    """Open the link, as a mail scanner or the customer does. Raises Problem when there is no page."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(link) as answer:
        text = await answer.text()
        if answer.status != 200:
            raise Problem(f"{link}: HTTP {answer.status}", "See the log of survey.")
        return text


async def vote(link: str, score: int, comment: str) -> None:
    """Choose a score on the page and send the form. Raises Problem when the page refuses it."""
    form = _Form()
    form.feed(await look(link))
    if form.action is None or str(score) not in form.choices:
        raise Problem(f"{link}: the page offers no score {score}", "See the log of survey.")
    fields = {**form.hidden, form.choices[str(score)]: str(score)}
    if comment and form.words:
        fields[form.words] = comment
    target = urljoin(link, form.action or link)
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.post(target, data=fields) as answer,
    ):
        if answer.status != 200:
            raise Problem(f"{target}: HTTP {answer.status}", "See the log of survey.")
