"""Customers: what may be told of them, what they take from their organisation, how two become one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chassis.errors import InvalidInput, NotFound, Refused, Violation
from tickets.domain.model import Contact, Customer, Tier

MAX_CONTACTS = MAX_NUMBERS = 100
MAX_MERGED_TICKETS = 50_000
"""More would not move in the time that one transaction may take."""
UNDO_TERM = timedelta(days=30)
WATCHED = ("tier", "organisation", "timezone", "account_manager")
"""What policies, the order of serving and observers follow on open tickets."""
_TOLD = (
    "name",
    "contacts",
    "tier",
    "timezone",
    "language",
    "numbers",
    "organisation",
    "account_manager",
    "merged_into",
)
# Their users have nothing in common; the list holds those that desks meet most.
_PUBLIC_MAIL = {
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com",
    "proton.me", "protonmail.com", "gmx.de", "gmx.net", "aol.com", "mail.ru", "bk.ru", "inbox.ru", "list.ru",
    "internet.ru", "yandex.ru", "yandex.com", "ya.ru", "rambler.ru", "mail.kz", "ukr.net", "qq.com",
}  # fmt: skip


@dataclass(slots=True)
class Organisation:
    """A company or client that customers belong to."""

    key: str
    name: str
    tier: Tier = Tier.STANDARD
    account_manager: str = ""
    domains: list[str] = field(default_factory=list)
    version: int = 1


@dataclass(slots=True)
class Merge:
    """That two customers became one, and what moved: `numbers` are those that the target did not have."""

    id: str
    source_id: str
    target_id: str
    author: str
    time: datetime
    contacts: list[Contact]
    numbers: list[str]
    source_numbers: list[str]
    ticket_count: int = 0
    undone_time: datetime | None = None

    @property
    def undo_until(self) -> datetime:
        """Until when it can be undone."""
        return self.time + UNDO_TERM


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier ticket of a customer, and how it was answered."""

    id: str
    key: str
    subject: str
    category: str
    status: str
    status_kind: int
    created_time: datetime
    resolved_time: datetime | None
    answer: str
    answer_author: str
    answer_time: datetime | None


def told(customer: Customer) -> dict[str, object]:
    """What others are told of a customer, to see what a change changed."""
    values = {name: getattr(customer, name) for name in _TOLD}
    return {name: list(value) if isinstance(value, list) else value for name, value in values.items()}


def settle(customer: Customer, organisation: Organisation | None) -> None:
    """Take from the organisation what the customer has none of their own of."""
    if organisation is None and customer.organisation_key:
        customer.organisation = ""
    customer.organisation_key = organisation.key if organisation else ""
    customer.organisation = organisation.name if organisation else customer.organisation
    lent = organisation.tier if organisation else Tier.STANDARD
    customer.tier = Tier(customer.own_tier or lent)
    shared = organisation.account_manager if organisation else ""
    customer.account_manager = customer.own_account_manager or shared


def add_contact(customer: Customer, contact: Contact) -> bool:
    """One more address; False when it is known. Raises InvalidInput when there are a hundred."""
    if contact in customer.contacts:
        return False
    if len(customer.contacts) >= MAX_CONTACTS:
        raise _bad("contact", f"would be one more than the {MAX_CONTACTS} that a customer may have")
    customer.contacts = _sorted([*customer.contacts, contact])
    return True


def remove_contact(customer: Customer, contact: Contact) -> None:
    """One address less. Raises NotFound (CONTACT_NOT_FOUND), Refused (LAST_CONTACT)."""
    if contact not in customer.contacts:
        raise NotFound(f"the customer has no contact {contact.address}", reason="CONTACT_NOT_FOUND")
    if len(customer.contacts) == 1:
        raise Refused("it is the customer's last contact: add another one first", reason="LAST_CONTACT")
    customer.contacts = [each for each in customer.contacts if each != contact]


def add_number(customer: Customer, number: str, path: str = "number") -> bool:
    """One more customer number; False when it is known. Raises InvalidInput when there are a hundred."""
    if number in customer.numbers:
        return False
    if len(customer.numbers) >= MAX_NUMBERS:
        raise _bad(path, f"would be one more than the {MAX_NUMBERS} that a customer may have")
    customer.numbers = [*customer.numbers, number]
    return True


def remove_number(customer: Customer, number: str) -> None:
    """One customer number less. Raises NotFound (NUMBER_NOT_FOUND)."""
    if number not in customer.numbers:
        raise NotFound(f"the customer has no number {number}", reason="NUMBER_NOT_FOUND")
    customer.numbers = [each for each in customer.numbers if each != number]


def check_zone(name: str) -> None:
    """Whether a zone is known. Raises InvalidInput naming `timezone`."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _bad("timezone", 'must be an IANA zone such as "Europe/Moscow"') from None


def check_organisation(organisation: Organisation) -> None:
    """Normalise an organisation. Raises InvalidInput."""
    organisation.name = " ".join(organisation.name.split())
    if not organisation.name:
        raise _bad("organisation.name", "must have a character that can be seen")
    organisation.domains = list(dict.fromkeys(each.strip().lower() for each in organisation.domains))
    for index, domain in enumerate(organisation.domains):
        path = f"organisation.domains[{index}]"
        if (
            "." not in domain.strip(".")
            or any(each in domain for each in "@/ ")
            or domain != domain.strip(".")
        ):
            raise _bad(path, 'must be a domain such as "acme.example"')
        if domain in _PUBLIC_MAIL:
            raise _bad(path, "is public mail: its users are no organisation", reason="PUBLIC_DOMAIN")


def domain_of(contact: Contact) -> str:
    """The domain of an e-mail address; empty for other contacts."""
    return contact.address.rpartition("@")[2] if contact.channel == 1 else ""


def check_merge(source: Customer, target: Customer, tickets: int) -> None:
    """Whether a customer can take in another. Raises Refused (TOO_MUCH_TO_MERGE)."""
    sizes = (
        (len(source.contacts) + len(target.contacts), MAX_CONTACTS, "contacts"),
        (len({*source.numbers, *target.numbers}), MAX_NUMBERS, "numbers"),
        (tickets, MAX_MERGED_TICKETS, "tickets of the source: merge the other way round"),
    )
    for size, most, what in sizes:
        if size > most:
            raise Refused(f"{size} is more than {most} {what}", reason="TOO_MUCH_TO_MERGE")


def merge(source: Customer, target: Customer, moved: Merge) -> None:
    """Give the target what moves."""
    target.contacts = _sorted([*target.contacts, *moved.contacts])
    target.numbers = [*target.numbers, *moved.numbers]
    source.contacts, source.numbers, source.merged_into = [], [], target.id


def part(source: Customer, target: Customer, moved: Merge) -> None:
    """Give the source back what moved."""
    source.contacts = _sorted([*source.contacts, *moved.contacts])
    source.numbers = [*source.numbers, *moved.source_numbers]
    target.contacts = [each for each in target.contacts if each not in moved.contacts]
    target.numbers = [each for each in target.numbers if each not in moved.numbers]
    source.merged_into = None


def check_two(source_id: str, target_id: str) -> None:
    """Whether there are two to merge. Raises InvalidInput."""
    if source_id == target_id:
        raise _bad("target_id", "must be another customer than source_id")


def check_undo(merge: Merge, now: datetime) -> None:
    """Whether a merge can still be undone. Raises Refused."""
    if merge.undone_time:
        raise Refused("this merge was undone already", reason="ALREADY_UNDONE")
    if now > merge.undo_until:
        raise Refused(f"a merge is undone within {UNDO_TERM.days} days", reason="UNDO_TOO_LATE")


def refuse_changed(merge: Merge, target: Customer, tickets: Sequence[str]) -> None:
    """Refuse an undo when something has moved on; `tickets` are their names. Raises Refused naming each."""
    gone = [
        *(f"contact {each.address}" for each in merge.contacts if each not in target.contacts),
        *(f"number {each}" for each in merge.numbers if each not in target.numbers),
        *(f"ticket {key}" for key in tickets),
    ]
    if gone:
        raise Refused(
            f"changed since the merge: {', '.join(gone[:10])}",
            reason="CHANGED_SINCE",
            violations=[Violation("merge_id", f"{each} was moved on since") for each in gone],
        )


def _sorted(contacts: list[Contact]) -> list[Contact]:
    return sorted(contacts, key=lambda each: (each.channel, each.address))


def _bad(path: str, description: str, reason: str = "INVALID_INPUT") -> InvalidInput:
    text = f"{path} {description}"
    return InvalidInput(text, reason=reason, violations=[Violation(path, text)])
