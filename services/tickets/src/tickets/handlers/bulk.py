"""One action on many tickets: fixed as a list, done in the background, each ticket by itself."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chassis.clock import uuid7
from chassis.db import Database, Tx
from chassis.errors import DeskError, InvalidInput, Refused, Unavailable, Violation
from chassis.principal import Principal, asked, current
from tickdesk.tickets.v1 import bulk_service_pb2
from tickets import metrics
from tickets.convert import bulk as convert
from tickets.convert import tickets as ticket_convert
from tickets.convert.attributes import from_change
from tickets.domain.audit import Change
from tickets.domain.bulk import MAX_ATTEMPTS, MAX_TICKETS, Bulk, Item, ItemState, Order
from tickets.domain.escalation import Step
from tickets.domain.letters import Letter
from tickets.domain.model import Line, Priority, Reason
from tickets.handlers import escalation, work
from tickets.handlers.attributes import update_ticket
from tickets.handlers.change import Caller, Target, agent_of
from tickets.handlers.moving import move
from tickets.handlers.query import Asked, resolved
from tickets.store import audit
from tickets.store import bulk as store
from tickets.store.lists import Listed, Page

_SERVICE = bulk_service_pb2.DESCRIPTOR.services_by_name["BulkService"]
_SOURCE = f"{_SERVICE.full_name}/StartBulk"
_SEES_ALL = ("admin", "auditor")
Verb = Callable[[Tx, Caller, Target, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bulk shall be: an action as JSON, and the query or the references that say which tickets."""

    caller: Caller
    action: Mapping[str, Any]
    dry_run: bool
    query: Asked | None = None
    references: Sequence[str] = ()


class _Undone(Exception):
    """Ends the transaction of a ticket of which nothing is kept: it refused, or was only tried."""

    def __init__(self, item: Item, refusal: DeskError | None = None) -> None:
        super().__init__()
        self.item = item
        self.refusal = refusal


def _escalate(tx: Tx, caller: Caller, target: Target, part: Any) -> Awaitable[object]:
    line = Line(part.to_line) if part.to_line else None
    form = ticket_convert.from_form(part.form)
    step = Step(
        Reason.BY_AGENT, to_line=line, management=part.management, form=form, criterion=part.criterion
    )
    return escalation.escalate(tx, caller, target, step)


VERBS: dict[str, Verb] = {
    "update": lambda tx, caller, target, part: update_ticket(tx, caller, target, from_change(part)),
    "status": lambda tx, caller, target, part: work.change_status(tx, caller, target, part.status),
    "assign": lambda tx, caller, target, part: work.assign_ticket(tx, caller, target, part.assignee),
    "prioritize": lambda tx, caller, target, part: work.prioritize(
        tx, caller, target, Priority(part.priority)
    ),
    "escalate": _escalate,
    "note": lambda tx, caller, target, part: work.add_note(tx, caller, target, part.text, ()),
    "reply": lambda tx, caller, target, part: work.reply(tx, caller, target, Letter(part.text), part.status),
    "resolve": lambda tx, caller, target, part: work.resolve(tx, caller, target, part.text),
    "close": lambda tx, caller, target, part: work.close(tx, caller, target, confirmed=part.confirmed),
    "reopen": lambda tx, caller, target, _: work.reopen(tx, caller, target),
    "take": lambda tx, caller, target, _: work.take_ticket(tx, caller, target),
    "move": lambda tx, caller, target, part: move(tx, caller, target, part.queue),
}
"""The single call of each part of the contract's action."""


async def start(tx: Tx, wanted: Wanted) -> Bulk:
    """Fix the list and begin.

    Raises BadQuery, Exhausted, InvalidInput (TOO_MANY_TICKETS, TICKETS_UNKNOWN).
    """
    order = Order(
        id=str(uuid7()),
        principal=wanted.caller.principal.name,
        agent_id=agent_of(wanted.caller),
        action=wanted.action,
        dry_run=wanted.dry_run,
        created_time=tx.now,
        query=wanted.query.query if wanted.query else "",
    )
    await store.add(tx, order)
    if wanted.query:
        await _find(tx, order, wanted.query)
    else:
        await _name(tx, order, wanted.references)
    bulk = await store.load(tx, order.id)
    await _note(tx, bulk, "BulkStarted", bulk.total)
    return bulk


async def load(tx: Tx, caller: Caller, bulk_id: str) -> Bulk:
    """One bulk that the caller sees. Raises NotFound (BULK_NOT_FOUND)."""
    bulk = await store.load(tx, bulk_id)
    if bulk.order.principal != caller.principal.name and caller.principal.role not in _SEES_ALL:
        raise store.unknown(bulk_id)
    return bulk


async def list_bulks(tx: Tx, caller: Caller, page: Page) -> Listed[Bulk]:
    """The caller's bulks, or everybody's for those who see all."""
    return await store.list_bulks(
        tx, "" if caller.principal.role in _SEES_ALL else caller.principal.name, page
    )


async def cancel(tx: Tx, caller: Caller, bulk_id: str) -> Bulk:
    """No ticket more. Raises NotFound, Refused (BULK_OVER)."""
    bulk = await load(tx, caller, bulk_id)
    count = await store.turn(tx, bulk_id, [ItemState.WAITING], ItemState.CANCELLED)
    if not count:
        raise Refused(
            f"nothing waits in this bulk: it is {bulk.state.name.lower()} already", reason="BULK_OVER"
        )
    await _note(tx, bulk, "BulkCancelled", count)
    return await store.load(tx, bulk_id)


async def resume(tx: Tx, caller: Caller, bulk_id: str, *, failures: bool) -> Bulk:
    """Go on with what was cancelled, or refused. Raises NotFound, Refused (NOTHING_TO_RESUME)."""
    bulk = await load(tx, caller, bulk_id)
    states = [ItemState.CANCELLED, *([ItemState.REFUSED] if failures else [])]
    count = await store.turn(tx, bulk_id, states, ItemState.WAITING)
    if not count:
        text = "no ticket of this bulk was cancelled" + (" or refused" if failures else "")
        raise Refused(text, reason="NOTHING_TO_RESUME")
    await _note(tx, bulk, "BulkResumed", count)
    return await store.load(tx, bulk_id)


async def advance(db: Database) -> bool:
    """Change the next ticket that waits; False when there is none. Raises Unavailable.

    A transaction a ticket: one that is refused leaves nothing behind, and one that a killed process did not
    come to the end of waits as before. One that is not to be had now waits behind the others.
    """
    item: Item | None = None
    try:
        async with db.tx() as tx:
            item = await store.lock_next(tx)
            if item is None:
                return False
            await _act(tx, item)
            await _finish(tx, item)
    except _Undone as undone:
        async with db.tx() as tx:
            await _finish(tx, undone.item, undone.refusal)
    except Unavailable as error:
        if item:
            await _put_off(db, item, error)
        raise
    return True


async def _put_off(db: Database, item: Item, error: Unavailable) -> None:
    """Try it later, but not for ever; a database that is away cannot count it. Raises Unavailable."""
    async with db.tx() as tx:
        if item.attempts + 1 < MAX_ATTEMPTS:
            await store.put_off(tx, item)
        else:
            await _finish(tx, item, error)


async def _find(tx: Tx, order: Order, wanted: Asked) -> None:
    search = await resolved(tx, wanted)
    found = await store.list_found(tx, order, search, MAX_TICKETS, staff=wanted.staff)
    if found > MAX_TICKETS:
        count = await store.count_found(tx, search, staff=wanted.staff)
        text = f"finds {count} tickets, a bulk takes at most {MAX_TICKETS}: say a queue or a period"
        raise InvalidInput(
            f"query {text}",
            reason="TOO_MANY_TICKETS",
            violations=[Violation("query", text)],
            metadata={"count": str(count)},
        )


async def _name(tx: Tx, order: Order, references: Sequence[str]) -> None:
    missing = await store.list_named(tx, order, references)
    if missing:
        places = {each: index for index, each in enumerate(references)}
        text = "is no ticket that you see"
        violations = [Violation(f"list.tickets[{places[each]}]", text) for each in missing]
        names = ", ".join(missing[:10])
        raise InvalidInput(f"list.tickets: {names}: {text}", reason="TICKETS_UNKNOWN", violations=violations)


async def _act(tx: Tx, item: Item) -> None:
    """The single call, in the name of who started the bulk. Raises _Undone, Unavailable."""
    action = convert.from_document(item.order.action)
    kind = action.WhichOneof("kind") or ""
    try:
        with _as_starter(tx, item.order) as caller:
            await VERBS[kind](tx, caller, Target(item.ticket_id), getattr(action, kind))
    except Unavailable:
        raise
    except DeskError as error:
        raise _Undone(item, error) from error
    if item.order.dry_run:
        raise _Undone(item)


@contextmanager
def _as_starter(tx: Tx, order: Order) -> Iterator[Caller]:
    """Rights and the audit ask who calls, and for what."""
    principal = Principal.of(order.principal)
    who, what = current.set(principal), asked.set(_SOURCE)
    tx.request_id = order.id
    try:
        yield Caller(principal, order.agent_id)
    finally:
        current.reset(who)
        asked.reset(what)


async def _note(tx: Tx, bulk: Bulk, event: str, count: int) -> None:
    """The audit of the bulk itself; what is done to tickets is noted with them."""
    kind = next(iter(bulk.order.action))
    changes = (Change("action", "", kind), Change("tickets", "", str(count)))
    await audit.note(tx, f"bulk/{bulk.order.id}", event, changes)


async def _finish(tx: Tx, item: Item, refusal: DeskError | None = None) -> None:
    await store.finish(tx, item, refusal)
    kind, result = next(iter(item.order.action)), "refused" if refusal else "done"
    tx.after_commit(lambda: metrics.BULK_STEPS.labels(kind, result).inc())
