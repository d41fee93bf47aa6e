"""Macros to the contract and back."""

from tickdesk.tickets.v1 import label_pb2, macros_pb2
from tickets.convert.fields import from_values, to_value
from tickets.convert.values import number
from tickets.domain.label import Label
from tickets.domain.macros import Macro
from tickets.domain.model import Priority


def to_macro(macro: Macro) -> macros_pb2.Macro:
    """A macro."""
    return macros_pb2.Macro(
        key=macro.key,
        name=label_pb2.Label(ru=macro.name.ru, en=macro.name.en),
        texts=[macros_pb2.MacroText(language=language, text=text) for language, text in macro.texts],
        internal=macro.internal,
        status=macro.status,
        priority=number(macro.priority or 0),
        add_tags=macro.add_tags,
        remove_tags=macro.remove_tags,
        fields={key: to_value(value) for key, value in macro.fields.items()},
    )


def from_macro(macro: macros_pb2.Macro) -> Macro:
    """A macro of a setup."""
    return Macro(
        key=macro.key,
        name=Label(macro.name.ru, macro.name.en),
        texts=tuple((each.language, each.text) for each in macro.texts),
        internal=macro.internal,
        status=macro.status,
        priority=Priority(macro.priority) if macro.priority else None,
        add_tags=tuple(macro.add_tags),
        remove_tags=tuple(macro.remove_tags),
        fields=from_values(macro.fields),
    )
