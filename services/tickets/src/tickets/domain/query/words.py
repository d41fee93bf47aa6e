"""What of a text can be searched, its words, and what misspelt words may have meant."""

import re
from collections.abc import Mapping
from dataclasses import replace

from tickets.domain.query.catalog import Catalog, Kind
from tickets.domain.query.tree import All, Any, Condition, Item, Node, Not, Query

MAX_WORD = 40
_MAX_TEXT = 10_000
_LONG = re.compile(rf"\S{{{MAX_WORD + 1},}}")
_WORD = re.compile(r"[^\W\d_]{4,30}")


def searchable(text: str) -> str:
    """The text as far as it is searched: its beginning, without what is too long to be a word."""
    return _LONG.sub(" ", text[:_MAX_TEXT])


def spelled(*lines: str) -> list[str]:
    """The words of some lines that a misspelt one may have meant, in one order for everybody."""
    return sorted({word for line in lines for word in _WORD.findall(line.lower())})


_LATIN = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
_CYRILLIC = "йцукенгшщзхъфывапролджэячсмитьбюё"
_KEYS = str.maketrans(_LATIN + _CYRILLIC, _CYRILLIC + _LATIN)


def other_layout(word: str) -> str:
    """What the same keys write in the other layout: "ghbdtn" is "привет"."""
    return word.translate(_KEYS)


def respelt(query: Query, catalog: Catalog, meant: Mapping[str, str]) -> Query:
    """The query with other words where it looks for words."""

    def change(node: Node) -> Node:
        match node:
            case Condition(items=items) if _is_phrase(node, catalog):
                return replace(node, items=tuple(_respelt(each, meant) for each in items))
            case Not(part):
                return Not(change(part))
            case All(parts) | Any(parts):
                return replace(node, parts=tuple(change(each) for each in parts))
        return node

    return replace(query, where=change(query.where)) if query.where else query


def _is_phrase(condition: Condition, catalog: Catalog) -> bool:
    field = catalog.find(condition.name)
    return field is not None and field.kind is Kind.PHRASE


def _respelt(item: Item, meant: Mapping[str, str]) -> Item:
    words = (meant.get(word.lower(), word) for word in item.value.text.split())
    return replace(item, value=replace(item.value, text=" ".join(words)))
