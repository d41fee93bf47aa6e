"""Text to tree. The parser looks one token ahead and never goes back: its time grows with the text only."""

from functools import cache

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from tickets.domain.query.faults import BadQuery, Fault
from tickets.domain.query.tree import (
    All,
    Any,
    Condition,
    Item,
    Node,
    Not,
    Order,
    Query,
    Span,
    Value,
    all_of,
    any_of,
    conditions,
    negated,
)

MAX_LENGTH, MAX_DEPTH, MAX_VALUES, MAX_ORDER = 4000, 20, 200, 3
"""Characters of a query, ANDs and ORs inside each other, values of all conditions, fields to sort by."""
TEXT = "Text"
"""The field of a text in quotes that stands alone."""

GRAMMAR = r"""
start: [any] [order]
?any: all (_OR all)*                    -> any_of
?all: factor (_AND factor)*             -> all_of
?factor: _NOT factor                    -> negated
       | "(" any ")"                    -> inner
       | field ":" item ("," item)*     -> condition
       | STRING                         -> phrase
?item: operand                          -> equal
     | OPERATOR operand                 -> compared
     | operand ".." operand             -> between
operand: (WORD | TIME | STRING | FUNCTION) SHIFT*
field: FIELD | STRING
order: _SORT key ("," key)*
key: (FIELD | STRING) [ASC | DESC]

_AND.3: /(and|и)(?![-.\/@+]?\w)/i
_OR.3: /(or|или)(?![-.\/@+]?\w)/i
_NOT.3: /(not|не)(?![-.\/@+]?\w)/i
_SORT.3: /"?(order|sort|сортировать|упорядочить)[ ]+(by|по)"?\s*:?/i
ASC.3: /(asc|по[ ]+возрастанию)(?![-.\/@+]?\w)/i
DESC.3: /(desc|по[ ]+убыванию)(?![-.\/@+]?\w)/i
FUNCTION.2: /\w+\s*\(\s*\)/
TIME.2: /\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[-+]\d\d:\d\d)?/
SHIFT: /[-+]\s*\d+\s*[mhdw](?!\w)/
OPERATOR: "!=" | "<=" | ">=" | "<" | ">" | "="
FIELD: /\w+([-.\/@+]\w+)*/
WORD: /\w+([-.\/@+]\w+)*/
STRING: /"(\\.|[^"\\])*"/s
%ignore /\s+/
"""

_MEANINGS = {
    "FIELD": "a field",
    "WORD": "a value",
    "FUNCTION": "a function such as me()",
    "OPERATOR": "a comparison such as >=",
    "STRING": "a text in quotes",
    "SHIFT": "a shift such as -30d",
    "COLON": '":"',
    "COMMA": '","',
    "__ANON_0": '".."',
    "LPAR": '"("',
    "RPAR": '")"',
    "_AND": "AND",
    "_OR": "OR",
    "_NOT": "NOT",
    "_SORT": "ORDER BY",
    "ASC": "ASC",
    "DESC": "DESC",
    "$END": "the end",
}
_TOO_COSTLY = "QUERY_TOO_COSTLY"


def parse(text: str) -> Query:
    """The tree of a query. Raises BadQuery: QUERY_INVALID, and QUERY_TOO_COSTLY for one that is too large."""
    if len(text) > MAX_LENGTH:
        raise _too_large(text, f"a query has at most {MAX_LENGTH} characters, this one has {len(text)}")
    try:
        query: Query = parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise BadQuery(text, [_fault(text, error)]) from None
    except Refusal as error:
        raise BadQuery(text, [error.fault], error.reason) from None
    values = sum(len(each.items) for each in conditions(query.where))
    if values > MAX_VALUES:
        raise _too_large(text, f"a query has at most {MAX_VALUES} values, this one has {values}")
    if len(query.order) > MAX_ORDER:
        fault = Fault(query.order[MAX_ORDER].span, f"a query sorts by at most {MAX_ORDER} fields")
        raise BadQuery(text, [fault])
    return query


@cache
def parser() -> Lark:
    """The parser, made on first use."""
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=True)


def meanings(terminals: set[str]) -> tuple[str, ...]:
    """What the parser waits for, in words."""
    return tuple(words for name, words in _MEANINGS.items() if name in terminals)


class Refusal(Exception):
    """Something that the grammar allows and the language does not."""

    def __init__(self, fault: Fault, reason: str | None = None) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.reason = reason


@v_args(inline=True)
class _Builder(Transformer[Token, Query]):
    """Makes the nodes while the text is read."""

    def start(self, where: Node | None, order: tuple[Order, ...] | None) -> Query:
        return Query(where, order or ())

    def any_of(self, *parts: Node) -> Node:
        return _bounded(any_of(parts))

    def all_of(self, *parts: Node) -> Node:
        return _bounded(all_of(parts))

    def negated(self, part: Node) -> Node:
        return negated(part)

    def inner(self, part: Node) -> Node:
        return part

    def condition(self, field: tuple[str, Span], *items: Item) -> Node:
        different = [each for each in items if each.operator == "!="]
        if not different:
            return Condition(field[0], items, field[1])
        if len(items) > 1:
            told = f"in a list != has no use: write NOT {field[0]}: and the values"
            raise Refusal(Fault(different[0].span, told))
        return Not(Condition(field[0], (Item(items[0].value, span=items[0].span),), field[1]))

    def phrase(self, token: Token) -> Condition:
        span = _span(token)
        return Condition(TEXT, (Item(Value(_unquoted(token), span=span), span=span),), span)

    def equal(self, value: Value) -> Item:
        return Item(value, span=value.span)

    def compared(self, operator: Token, value: Value) -> Item:
        return Item(value, str(operator), span=Span(_span(operator).start, value.span.end))

    def between(self, low: Value, high: Value) -> Item:
        return Item(low, "..", high, Span(low.span.start, high.span.end))

    def operand(self, base: Token, *shifts: Token) -> Value:
        span = Span(_span(base).start, _span(shifts[-1] if shifts else base).end)
        moved = tuple("".join(each.split()) for each in shifts)
        if base.type == "FUNCTION":
            return Value(base.partition("(")[0].strip().lower(), True, moved, span)  # noqa: FBT003
        return Value(_unquoted(base), shifts=moved, span=span)

    def field(self, token: Token) -> tuple[str, Span]:
        return _unquoted(token), _span(token)

    def order(self, *keys: Order) -> tuple[Order, ...]:
        return keys

    def key(self, name: Token, direction: Token | None) -> Order:
        return Order(_unquoted(name), direction is not None and direction.type == "DESC", _span(name))


def _bounded(node: Node) -> Node:
    # Checked at every level on the way up, so that walking a tree never goes deep.
    if _depth(node) > MAX_DEPTH:
        told = f"a query has at most {MAX_DEPTH} levels of AND and OR"
        raise Refusal(Fault(next(conditions(node)).span, told), _TOO_COSTLY)
    return node


def _depth(node: Node) -> int:
    match node:
        case All(parts) | Any(parts):
            return 1 + max(_depth(each) for each in parts)
        case Not(part):
            return _depth(part)
        case _:
            return 0


def _span(token: Token) -> Span:
    assert token.start_pos is not None
    assert token.end_pos is not None
    return Span(token.start_pos, token.end_pos)


def _unquoted(token: Token) -> str:
    if token.type != "STRING":
        return str(token)
    parts = token[1:-1].split("\\\\")
    return "\\".join(part.replace('\\"', '"') for part in parts)


def _fault(text: str, error: UnexpectedInput) -> Fault:
    if isinstance(error, UnexpectedToken):
        expected = meanings(error.accepts or set(error.expected))
        if error.token.type == "$END":
            return Fault(Span(len(text.rstrip()), len(text)), "the query is not complete", expected)
        return Fault(_span(error.token), f'"{error.token}" is not expected here', expected)
    assert isinstance(error, UnexpectedCharacters)
    at: int = error.pos_in_stream  # type: ignore[assignment]
    if text[at] == '"':
        return Fault(Span(at, len(text)), "the quote is never closed")
    return Fault(Span(at, at + 1), f'"{text[at]}" is not expected here', meanings(_accepted(text[:at])))


def _accepted(text: str) -> set[str]:
    """What may follow the beginning of a query."""
    reading = parser().parse_interactive(text)
    reading.exhaust_lexer()
    accepted: set[str] = reading.accepts()  # type: ignore[no-untyped-call]
    return accepted


def _too_large(text: str, words: str) -> BadQuery:
    return BadQuery(text, [Fault(Span(0, 1), words)], _TOO_COSTLY)
