"""The fields that queries may name, what their values are, and how they are called in both languages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from tickets.domain import fields as custom
from tickets.domain.model import Line, Priority, Reason, TicketType, Tier
from tickets.domain.statuses import LINES, Status, StatusKind, Workflow

_CLOCKS = "sla"


class Kind(Enum):
    """What a field's values are."""

    WORD = "a word"
    PATH = "a path such as payment/refund; a part of it stands for all below"
    SET = "several words"
    USER = "an agent's id"
    CHOICE = "one of a list"
    SCALE = "one of a list in an order"
    NUMBER = "a number"
    TIME = "a time"
    DAY = "a day"
    TICKET = "a ticket's key or id"
    PHRASE = "words to look for"
    CLOCK = "a clock's state, or a time to compare what is due with"


@dataclass(frozen=True, slots=True)
class Field:
    """A field. Names and choices are those in English first, then others that mean the same.

    `argument` tells fields of one key apart: the name of a clock, the key of a custom field.
    """

    key: str
    names: tuple[str, ...]
    kind: Kind
    choices: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    optional: bool = False
    sorts: bool = False
    argument: str = ""

    @property
    def name(self) -> str:
        """What it is called in English."""
        return self.names[0]

    def choice_names(self) -> dict[object, str]:
        """The first name of each choice by what it stands for, in their order."""
        names: dict[object, str] = {}
        for name, meaning in self.choices.items():
            names.setdefault(meaning, name)
        return names


class Catalog:
    """Fields by name: whatever is told apart by case, spaces or underscores is one name."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        # The desk's own fields come first and keep their names.
        self._by_name = {folded(name): each for each in reversed(self.fields) for name in each.names}

    def find(self, name: str) -> Field | None:
        """The field of a name; `SLA.<clock>` is the clock of that name."""
        head, dot, clock = folded(name).partition(".")
        known = self._by_name.get(folded(name))
        if known is None and dot and clock and head in map(folded, self._by_name[_CLOCKS].names):
            written = name.partition(".")[2]
            return replace(self._by_name[_CLOCKS], names=(f"SLA.{written}",), argument=written.lower())
        return known

    def names(self) -> list[str]:
        """Every name of every field."""
        return [name for each in self.fields for name in each.names]


def folded(name: str) -> str:
    """A name as it is compared."""
    return name.casefold().replace(" ", "").replace("_", "").replace("ё", "е")


@dataclass(frozen=True, slots=True)
class Statuses:
    """The statuses that a word means, and the kinds that they have in the workflows there are."""

    keys: tuple[str, ...]
    kinds: tuple[StatusKind, ...]


def catalog(workflows: Sequence[Workflow] = (), fields: Iterable[custom.Field] = ()) -> Catalog:
    """The desk's fields, with the statuses and the custom fields of its queues."""
    statuses = [each for workflow in workflows or (LINES,) for each in workflow.statuses]
    return Catalog([_status(statuses), *_FIELDS, *map(_custom, {each.key: each for each in fields}.values())])


def _status(statuses: Sequence[Status]) -> Field:
    """Statuses are called by their keys, or by what people read: that may be several keys."""
    keys = {each.key for each in statuses}
    named: dict[str, list[Status]] = {each.key: [] for each in statuses}
    for status in statuses:
        for name in {status.key, *({status.name.en, status.name.ru} - keys - {""})}:
            named.setdefault(name, []).append(status)
    choices = {name: _meant(each) for name, each in named.items()}
    return Field("status", ("Status", "Статус"), Kind.CHOICE, choices, sorts=True)


def _meant(statuses: Sequence[Status]) -> Statuses:
    return Statuses(
        tuple(dict.fromkeys(each.key for each in statuses)),
        tuple(dict.fromkeys(each.kind for each in statuses)),
    )


def _custom(defined: custom.Field) -> Field:
    names = tuple(dict.fromkeys(name for name in (defined.key, defined.name.en, defined.name.ru) if name))
    choices = {
        name: choice.key
        for choice in defined.choices
        for name in (choice.key, choice.name.en, choice.name.ru)
        if name
    }
    kind = _CUSTOM_KINDS[defined.type]
    return Field("field", names, kind, choices, optional=True, argument=defined.key)


_CUSTOM_KINDS = {
    custom.FieldType.TEXT: Kind.WORD,
    custom.FieldType.NUMBER: Kind.NUMBER,
    custom.FieldType.DATE: Kind.DAY,
    custom.FieldType.TIME: Kind.TIME,
    custom.FieldType.ONE_OF: Kind.CHOICE,
    custom.FieldType.MANY_OF: Kind.SET,
    custom.FieldType.USER: Kind.USER,
}
_TYPES = {
    "question": TicketType.QUESTION,
    "complaint": TicketType.COMPLAINT,
    "change_request": TicketType.CHANGE_REQUEST,
    "incident": TicketType.INCIDENT,
    "wish": TicketType.WISH,
    "вопрос": TicketType.QUESTION,
    "жалоба": TicketType.COMPLAINT,
    "изменение": TicketType.CHANGE_REQUEST,
    "инцидент": TicketType.INCIDENT,
    "пожелание": TicketType.WISH,
}
_PRIORITIES = {
    "low": Priority.LOW,
    "normal": Priority.NORMAL,
    "high": Priority.HIGH,
    "critical": Priority.CRITICAL,
    "низкий": Priority.LOW,
    "обычный": Priority.NORMAL,
    "высокий": Priority.HIGH,
    "критический": Priority.CRITICAL,
}
_KINDS = {each.name.lower(): each for each in StatusKind}
_RESOLUTIONS = {"resolved": StatusKind.RESOLVED, "closed": StatusKind.CLOSED}
_LINES = {each.name: each for each in Line} | {str(each.value): each for each in Line}
_TIERS = {"standard": Tier.STANDARD, "vip": Tier.VIP}
_REASONS = {each.name.lower(): each for each in Reason}
CHANNELS = (
    "email",
    "telegram",
    "web_form",
    "webhook",
    "api",
    "phone",
    "chat",
    "whatsapp",
    "max",
    "vk",
    "ok",
    "import",
)
"""Names of the contract's channels, from 1."""
CLOCK_STATES = ("pending", "running", "paused", "met", "cancelled", "breached")
"""What a clock is doing; `breached` holds beside the others once its target was missed."""

_FIELDS = (
    Field("key", ("Key", "Ключ"), Kind.TICKET, sorts=True),
    Field("queue", ("Queue", "Очередь"), Kind.WORD, sorts=True),
    Field("subject", ("Subject", "Тема"), Kind.PHRASE),
    Field("text", ("Text", "Текст"), Kind.PHRASE),
    Field("type", ("Type", "Тип"), Kind.CHOICE, _TYPES),
    Field("category", ("Category", "Категория"), Kind.PATH, optional=True),
    Field("component", ("Component", "Components", "Компонент", "Компоненты"), Kind.WORD, optional=True),
    Field("edition", ("Edition", "Редакция"), Kind.WORD, optional=True),
    Field("priority", ("Priority", "Приоритет"), Kind.SCALE, _PRIORITIES, sorts=True),
    Field("kind", ("Status kind", "Вид статуса"), Kind.CHOICE, _KINDS),
    Field("resolution", ("Resolution", "Решение", "Резолюция"), Kind.CHOICE, _RESOLUTIONS, optional=True),
    Field("line", ("Line", "Линия"), Kind.SCALE, _LINES, sorts=True),
    Field("assignee", ("Assignee", "Исполнитель"), Kind.USER, optional=True, sorts=True),
    Field("observer", ("Observer", "Observers", "Наблюдатель"), Kind.USER, optional=True),
    Field("customer", ("Customer", "Клиент"), Kind.PHRASE),
    Field("tier", ("Tier", "Тип клиента"), Kind.SCALE, _TIERS),
    Field("organisation", ("Organisation", "Организация"), Kind.WORD, optional=True),
    Field("manager", ("Account manager", "Менеджер клиента"), Kind.USER, optional=True),
    Field("cabinet", ("Customer number", "Cabinet", "Кабинет"), Kind.WORD, optional=True),
    Field("channel", ("Channel", "Канал"), Kind.CHOICE, {name: n for n, name in enumerate(CHANNELS, 1)}),
    Field("account", ("Account", "Ящик"), Kind.WORD, optional=True),
    Field("tag", ("Tag", "Tags", "Тег", "Теги"), Kind.SET, optional=True),
    Field("language", ("Language", "Язык"), Kind.WORD),
    Field("origin", ("Origin", "Источник"), Kind.WORD, optional=True),
    Field("parent", ("Parent", "Родитель"), Kind.TICKET, optional=True),
    Field("created", ("Created", "Создан", "Создано"), Kind.TIME, sorts=True),
    Field("updated", ("Updated", "Обновлён", "Изменён", "Обновлено"), Kind.TIME, sorts=True),
    Field("resolved", ("Resolved", "Решён", "Решено"), Kind.TIME, optional=True, sorts=True),
    Field("closed", ("Closed", "Закрыт", "Закрыто"), Kind.TIME, optional=True, sorts=True),
    Field("due", ("Due", "Срок", "Дедлайн"), Kind.TIME, optional=True, sorts=True),
    Field(_CLOCKS, ("SLA",), Kind.CLOCK, {each: each for each in CLOCK_STATES}, optional=True),
    Field("escalation", ("Escalation", "Эскалация"), Kind.CHOICE, _REASONS, optional=True),
    Field("score", ("CSAT", "Score", "Оценка"), Kind.NUMBER, optional=True),
    Field("messages", ("Messages", "Сообщений"), Kind.NUMBER, sorts=True),
    Field("cycle", ("Cycle", "Цикл"), Kind.NUMBER),
)
