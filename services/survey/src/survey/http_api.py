"""The public pages: GET shows the question and never votes, POST votes."""

import base64
import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import jinja2
import orjson
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from chassis import telemetry
from chassis.clock import utcnow
from chassis.db import Database
from chassis.errors import InvalidInput, Refused, Unavailable
from survey import handlers, metrics, store
from survey.domain import COMMENT_LENGTH, State, Survey, can_answer, is_over
from survey.handlers import Rules

log = telemetry.logger(__name__)
_FOLDER = files("survey") / "pages"
_TOKEN_LENGTH = 64
_BODY_BYTES = 32_768


class _BodyTooLarge(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one address may ask, and how many proxies in front are believed."""

    calls_per_minute: int
    trusted_proxies: int


class Meter:
    """Counts calls per address within a minute; forgets everything when the minute is over."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._minute = 0
        self._calls: Counter[str] = Counter()

    def allows(self, request: Request) -> bool:
        """Count a call and tell whether its address is still within the limit."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._calls.clear()
        address = self._address(request)
        self._calls[address] += 1
        return self._calls[address] <= self._limits.calls_per_minute

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        trusted = self._limits.trusted_proxies
        hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
        # Only what our own proxies have added can be believed: the last entries.
        return hops[-trusted][:64] if 0 < trusted <= len(hops) and hops[-trusted] else peer


class Pages:
    """The handlers of the pages."""

    def __init__(self, db: Database, rules: Rules, limits: Limits) -> None:
        self._db = db
        self._rules = rules
        self._meter = Meter(limits)

    async def page(self, request: Request) -> Response:
        """GET and HEAD show, POST votes; the limit comes first."""
        if not self._meter.allows(request):
            return _notice(429, "busy")
        try:
            if request.method == "POST":
                return await self._vote(request)
            return await self._show(request)
        except Unavailable:
            return _notice(503, "away")
        except _BodyTooLarge:
            return _notice(413, "large")

    async def _show(self, request: Request) -> Response:
        async with self._db.tx() as tx:
            survey = await store.find(tx, _hash(request))
        if survey is None:
            return _notice(404, "unknown")
        if is_over(survey, utcnow()):
            return _notice(410, "over", survey.language)
        return self._render(survey, 200)

    async def _vote(self, request: Request) -> Response:
        form = await _form(request)
        async with self._db.tx() as tx:
            found = await store.find(tx, _hash(request), lock=True)
            if found is None:
                return _notice(404, "unknown")
            if is_over(found, tx.now):
                return _notice(410, "over", found.language)
            try:
                await handlers.vote(tx, found, _score(form, found), form.get("comment"), self._rules)
            except Refused:
                return self._render(found, 409, problem="closed")
            except InvalidInput as error:
                return self._render(found, 400, problem=error.reason, draft=form.get("comment", ""))
        # To the same page, so that reloading does not vote again; relative, so that a path in front stays.
        return _guarded(RedirectResponse(request.path_params["token"], status_code=303))

    def _render(self, survey: Survey, status: int, problem: str = "", draft: str = "") -> Response:
        open_ = can_answer(survey, utcnow(), self._rules.window)
        values = {
            "survey": survey,
            "answered": survey.state is State.ANSWERED,
            "open": open_,
            "problem": problem,
            "draft": draft or survey.comment,
            "limit": COMMENT_LENGTH,
            "minutes": round(self._rules.window.total_seconds() / 60),
        }
        return _html("page.html", survey.language, status, values)


def pages(db: Database, rules: Rules, limits: Limits) -> Starlette:
    """The application that serves the pages."""
    routes = [
        Route("/s/{token}", Pages(db, rules, limits).page, methods=["GET", "POST"]),
        Route("/robots.txt", _robots),
    ]
    return Starlette(routes=routes, exception_handlers={404: _lost, 405: _lost, 500: _failed})


async def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _lost(_: Request, error: Exception) -> Response:
    return _notice(getattr(error, "status_code", 404), "unknown")


async def _failed(_: Request, error: Exception) -> Response:
    # The token is part of the path, so nothing of the request is logged.
    log.error("page failed", exc_info=error)
    return _notice(500, "away")


def _hash(request: Request) -> bytes:
    return handlers.token_hash(request.path_params["token"][:_TOKEN_LENGTH])


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            raise _BodyTooLarge
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _score(form: dict[str, str], survey: Survey) -> int:
    """The score of a form; a form with only a comment keeps the one given before."""
    text = form.get("score", "")
    if not text:
        return survey.raw
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0


def _notice(status: int, name: str, language: str = "") -> Response:
    """A page that only says something; in both languages when the reader's is not known."""
    languages = [language] if language else ["ru", "en"]
    texts = [(each, _words(each)["notices"][name]) for each in languages]
    return _html("notice.html", language or "en", status, {"texts": texts})


def _html(template: str, language: str, status: int, values: dict[str, Any]) -> Response:
    text = _templates().get_template(template).render(language=language, words=_words(language), **values)
    metrics.PAGES.labels(status).inc()
    return _guarded(HTMLResponse(text, status))


def _guarded(response: Response) -> Response:
    """Nothing runs, nothing is loaded, nothing is remembered, and the link leaks to nobody."""
    response.headers.update(
        {
            "Content-Security-Policy": f"default-src 'none'; style-src {_style_hash()}; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex, nofollow",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
    )
    return response


@cache
def _style_hash() -> str:
    digest = hashlib.sha256((_FOLDER / "style.css").read_bytes()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _words(language: str) -> dict[str, Any]:
    words: dict[str, Any] = orjson.loads((_FOLDER / f"{language}.json").read_bytes())
    return words


@cache
def _templates() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("survey", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Inside <style> the text must be exactly the one that was hashed.
    env.globals["style"] = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    return env
