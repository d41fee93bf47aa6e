"""What could be written at a place of a query."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from lark import Token
from lark.exceptions import UnexpectedInput

from tickets.domain.query.catalog import Catalog, Field, Kind, folded
from tickets.domain.query.grammar import MAX_LENGTH, Refusal, parser
from tickets.domain.query.resolve import functions
from tickets.domain.query.tree import quoted

_MOST = 50
_WORD = re.compile(r"[\w./@+]*$")
_KEYWORDS = {"_AND": "AND", "_OR": "OR", "_NOT": "NOT", "_SORT": "ORDER BY", "DESC": "DESC", "ASC": "ASC"}
_TIMES = ("today()", "now()", "today() - 7d", "today() - 30d", "now() + 1h")


class SuggestionKind(IntEnum):
    """The sort of a suggestion; numbers of the contract."""

    FIELD = 1
    VALUE = 2
    FUNCTION = 3
    KEYWORD = 4


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to write instead of what stands before the cursor."""

    text: str
    kind: SuggestionKind
    description: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a query: from where something is replaced, what of it is there, the field of the value."""

    start: int
    prefix: str
    field: Field | None
    suggestions: tuple[Suggestion, ...]

    def fits(self, word: str) -> bool:
        """Whether a word begins with what is there."""
        return folded(word).startswith(folded(self.prefix))


def suggest(text: str, cursor: int, catalog: Catalog) -> Place:
    """What fits at the cursor; nothing where the text before it is wrong."""
    head = text[: min(cursor, MAX_LENGTH)]
    start, prefix = _begun(head)
    reading = parser().parse_interactive(head[:start])
    try:
        tokens = reading.exhaust_lexer()
        accepted: set[str] = reading.accepts()  # type: ignore[no-untyped-call]
    except (UnexpectedInput, Refusal):
        return Place(start, prefix, None, ())
    field = _field_before(tokens, catalog) if "WORD" in accepted else None
    place = Place(start, prefix, field, ())
    everything = (*_fields(accepted, tokens, catalog, prefix), *_values(field), *_keywords(accepted))
    fitting = [each for each in everything if each.kind is SuggestionKind.FIELD or place.fits(each.text)]
    return Place(start, prefix, field, tuple(fitting[:_MOST]))


def _begun(head: str) -> tuple[int, str]:
    """The word, or the text in quotes, that is being written at the end."""
    if head.count('"') % 2:
        start = head.rindex('"')
        return start, head[start + 1 :]
    word = _WORD.search(head)
    assert word is not None
    return word.start(), word.group()


def _fields(accepted: set[str], tokens: list[Token], catalog: Catalog, prefix: str) -> Iterator[Suggestion]:
    if "FIELD" not in accepted:
        return
    sorting = any(token.type == "_SORT" for token in tokens)
    for field in catalog.fields:
        name = next((name for name in field.names if folded(name).startswith(folded(prefix))), None)
        if name and (field.sorts or not sorting):
            text = quoted(name) if sorting else f"{quoted(name)}: "
            yield Suggestion(text, SuggestionKind.FIELD, field.kind.value)


def _values(field: Field | None) -> Iterator[Suggestion]:
    if field is None:
        return
    for name in field.choice_names().values():
        yield Suggestion(quoted(name), SuggestionKind.VALUE)
    if field.kind in (Kind.TIME, Kind.DAY, Kind.CLOCK):
        yield from (Suggestion(each, SuggestionKind.FUNCTION) for each in _TIMES)
    for name in functions(field):
        if name not in ("today", "now"):
            yield Suggestion(f"{name}()", SuggestionKind.FUNCTION)


def _keywords(accepted: set[str]) -> Iterator[Suggestion]:
    for terminal, word in _KEYWORDS.items():
        if terminal in accepted:
            yield Suggestion(word, SuggestionKind.KEYWORD)


def _field_before(tokens: list[Token], catalog: Catalog) -> Field | None:
    """The field whose value stands here: what stood before the last colon."""
    colons = [index for index, token in enumerate(tokens) if token.type == "COLON"]
    if not colons or not colons[-1]:
        return None
    name = tokens[colons[-1] - 1]
    return catalog.find(name.strip('"'))
