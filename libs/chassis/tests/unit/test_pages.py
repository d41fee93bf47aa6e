"""Page tokens lead on where a page ended, in their own list alone."""

import base64
import json
import string
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.errors import InvalidInput
from chassis.pages import page_start, page_token

SCOPE = ("tickets", {"queue": "SUP", "state": 3})
WRONG = (
    "page_token must be the next_page_token of the same list with the same filters; empty is the first page"
)


def read(name: str, number: int, identity: str) -> tuple[str, int, UUID]:
    return name, int(number), UUID(identity)


def forged(scope: object, payload: Any) -> str:
    """A token whose digest is right, as anybody can make one."""
    text = json.dumps(payload).encode()
    digest = sha256(repr(scope).encode() + b"\0" + text).digest()[:8]
    return base64.urlsafe_b64encode(digest + text).decode().rstrip("=")


def test_a_token_leads_back_to_its_place() -> None:
    for name in ("", "a/b", "Ёж ы", "\ud7ff\U0001f600", "'\"\\"):
        identity = uuid4()
        token = page_token(SCOPE, name, -(2**63), str(identity))
        assert page_start(token, SCOPE, read) == (name, -(2**63), identity)
        assert set(token) <= {*string.ascii_letters, *string.digits, "-", "_"}


def test_no_token_is_the_first_page() -> None:
    assert page_start("", SCOPE, read) is None


def test_a_token_is_the_same_in_every_replica() -> None:
    assert page_token(("marks", ""), 12, 3) == page_token(("marks", ""), 12, 3) == "kFai9FcF3wtbMTIsIDNd"


@pytest.mark.parametrize(
    "scope", [("queues", SCOPE[1]), ("tickets", {}), ("tickets", {"queue": "NET"}), "tickets"]
)
def test_a_token_of_another_list_or_filter_is_refused(scope: object) -> None:
    refused(page_token(SCOPE, "a", 1, str(uuid4())), scope)


def refused(token: str, scope: object = SCOPE) -> None:
    with pytest.raises(InvalidInput) as told:
        page_start(token, scope, read)
    assert (told.value.message, told.value.reason) == (WRONG, "PAGE_TOKEN_INVALID")
    assert [(one.field, f"page_token {one.description}") for one in told.value.violations] == [
        ("page_token", WRONG)
    ]


@pytest.mark.parametrize(
    "token", ["x", "%%%", "=", "ы", "nonsense", "A" * 500, "a" * 499, "\n", " ", "AAAA\n"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refused(token)


def test_a_token_nested_beyond_measure_is_refused() -> None:
    refused(base64.urlsafe_b64encode(b"12345678" + b"[" * 100_000).decode().rstrip("="))


def test_a_token_that_was_changed_anywhere_is_refused() -> None:
    token = page_token(SCOPE, "a", 1, str(uuid4()))
    for at in range(1, len(token)):
        refused(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :])
        refused(token[:at])
    refused(token + "=")


@pytest.mark.parametrize(
    "place",
    [
        [],
        ["a"],
        ["a", 1],
        ["a", "x", "y"],
        ["a", None, 1],
        ["a", 1, 5],
        ["a", [], ""],
        ["a", 1e400, ""],
        ["a\0", 1, str(UUID(int=1))],
        ["\ud800", 1, str(UUID(int=1))],
        {},
        5,
        None,
    ],
)
def test_a_made_up_place_that_cannot_be_read_is_refused(place: Any) -> None:
    refused(forged(SCOPE, place))
