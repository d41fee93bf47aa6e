"""Page tokens: where a page ended, opaque to callers and good only for the list that gave it."""

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from chassis.errors import InvalidInput, Violation

T = TypeVar("T")


def page_token(scope: object, *place: str | int) -> str:
    """The token of a place; `scope` is the list's name and filters, with the same repr in every replica."""
    told = json.dumps(place).encode()
    # Ties it to its list. No secret: a made-up place shows nothing that the list would not.
    digest = hashlib.sha256(repr(scope).encode() + b"\0" + told).digest()[:8]
    return base64.urlsafe_b64encode(digest + told).decode().rstrip("=")


def page_start(token: str, scope: object, read: Callable[..., T]) -> T | None:
    """What `read` makes of the parts of the place; None for an empty token.

    Raises InvalidInput for a token of another list or none at all, and for parts that `read` stumbles over.
    """
    if not token:
        return None
    with suppress(ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        place = json.loads(base64.urlsafe_b64decode(token + "==")[8:])
        if page_token(scope, *place) == token and not any(map(_holds_nul, place)):
            return read(*place)
    text = "must be the next_page_token of the same list with the same filters; empty is the first page"
    field = Violation("page_token", text)
    raise InvalidInput(f"page_token {text}", reason="PAGE_TOKEN_INVALID", violations=[field])


def _holds_nul(part: object) -> bool:
    """Whether it is a text that no column takes. Raises UnicodeEncodeError for one with half a character."""
    return isinstance(part, str) and b"\0" in part.encode()
