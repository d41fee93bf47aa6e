"""How queues work: their setups, version by version, and queues made out of templates."""

from dataclasses import dataclass
from datetime import timedelta

from chassis.db import Tx
from chassis.errors import AlreadyExists, InvalidInput, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickdesk.tickets.v1 import setup_pb2
from tickets.convert import setup as convert
from tickets.convert import templates
from tickets.convert import tickets as convert_tickets
from tickets.convert.stale import of_setup
from tickets.domain import rules, triggers, workflowlint
from tickets.domain import setup as domain
from tickets.domain.audit import Change
from tickets.domain.fields import FieldType, retyped, type_faults
from tickets.domain.model import Actor, ActorKind, Queue
from tickets.domain.routing import people
from tickets.domain.setup import Document, Kept, Remark, Setup
from tickets.handlers.change import Caller
from tickets.handlers.stale import stale
from tickets.store import audit, desk, rights, routing
from tickets.store import setup as store
from tickets.store.rights import PEOPLE
from tickets.store.schedules import put_schedules

_setups = store.Memory[Setup]()
# What the template "lines" says, without reading it.
_DEFAULT = Setup()


@dataclass(frozen=True, slots=True)
class NewQueue:
    """What a queue is given when it is made; the rest is its template's."""

    key: str
    name: str
    addresses: tuple[str, ...]


async def setup_of(tx: Tx, setup_id: str) -> Setup:
    """The setup of an id, as queues and tickets to change carry it; no id is that of queues without one."""
    if not setup_id:
        return _DEFAULT
    known = _setups.get(setup_id)
    return known or _setups.keep(setup_id, convert.from_document(await store.document(tx, setup_id)))


async def get_setup(tx: Tx, key: str, version: int) -> Kept:
    """A version of the setup of a queue; 0 is the one in force. Raises NotFound (SETUP_NOT_FOUND)."""
    queue = await desk.load_queue(tx, key)
    wanted = version or queue.setup_version
    return await store.load_version(tx, key, wanted) if wanted else _default()


async def put_setup(tx: Tx, caller: Caller, setup: setup_pb2.Setup) -> tuple[Kept, list[Remark]]:
    """The next version, in force from now on, and what is doubtful in it. The same again changes nothing.

    Raises Stale (STALE_VERSION), InvalidInput (SETUP_INVALID) with all faults.
    """
    queue = await desk.load_queue(tx, setup.queue, lock=True)
    present = await get_setup(tx, queue.key, 0)
    if setup.version != queue.setup_version:
        raise stale(f"the setup of {queue.key}", of_setup(present))
    document = convert.to_document(setup)
    faults, doubts = await _remarks(tx, queue, document)
    if faults:
        raise _invalid(faults)
    if document == present.document:
        return present, doubts
    return await _put(tx, queue, caller, document), doubts


async def require_sound(tx: Tx, queue: Queue, document: Document) -> None:
    """Raise InvalidInput (SETUP_INVALID) for a setup that could not be put."""
    faults, _ = await _remarks(tx, queue, document)
    if faults:
        raise _invalid(faults)


async def check_setup(tx: Tx, setup: setup_pb2.Setup) -> tuple[list[Remark], list[Remark]]:
    """All that is wrong, and all that is doubtful, in a setup that is not put."""
    queue = await desk.load_queue(tx, setup.queue)
    return await _remarks(tx, queue, convert.to_document(setup))


async def create_queue(tx: Tx, caller: Caller, new: NewQueue, template: str) -> tuple[Queue, Kept]:
    """A queue out of a template. Raises NotFound (TEMPLATE_NOT_FOUND), AlreadyExists (QUEUE_EXISTS)."""
    model = templates.template(template)
    queue = convert_tickets.from_queue(model.queue)
    queue.key, queue.name, queue.addresses = new.key, new.name, list(new.addresses)
    rules.check_queue(queue)
    queue = await desk.put_queue(tx, queue)
    if queue.version > 1:
        text = f"there is a queue {new.key} already: change its setup, or choose another key"
        raise AlreadyExists(text, reason="QUEUE_EXISTS", metadata={"queue": new.key})
    return queue, await _put(tx, queue, caller, convert.to_document(model.setup))


async def _put(tx: Tx, queue: Queue, caller: Caller, document: Document) -> Kept:
    setup, before = convert.from_document(document), queue.setup_version
    kept = await store.put_setup(tx, queue, _actor(caller), document, setup.workflow.confirmation_seconds)
    await put_schedules(tx, queue.key, {each.key: each.every or timedelta() for each in setup.schedules})
    await rights.put_grants(tx, queue.key, setup.grants)
    change = Change("setup_version", str(before or ""), str(kept.version))
    await audit.note(tx, f"queue/{queue.key}", "SetupPut", (change,))
    tx.emit(events.QueueChanged(queue=convert_tickets.to_queue(queue)), key=queue.key)
    return kept


async def _remarks(tx: Tx, queue: Queue, document: Document) -> tuple[list[Remark], list[Remark]]:
    setup = convert.from_document(document)
    before = await setup_of(tx, queue.setup_id)
    used = await store.in_use(tx, queue.key, domain.removed(before.workflow, setup.workflow))
    types = await _types(tx, queue, before, setup)
    faults = [
        *domain.faults(setup),
        *workflowlint.line_faults(setup.workflow, queue.last_line),
        *domain.used_faults(used),
        *type_faults(types, setup.fields),
    ]
    return faults, [*domain.doubts(setup), *await _strangers(tx, setup)]


async def _types(tx: Tx, queue: Queue, before: Setup, setup: Setup) -> dict[str, FieldType]:
    """Types that fields must keep: those in force, and of fields taken away whose values tickets hold."""
    types = {each.key: each.type for each in before.fields}
    news = [each.key for each in setup.fields if each.key not in types]
    gone = await store.earlier_fields(tx, queue.key, news) if news else {}
    changed = retyped(gone, setup.fields)
    held = await store.held_fields(tx, queue.key, changed) if changed else ()
    return types | {key: gone[key] for key in held}


async def _strangers(tx: Tx, setup: Setup) -> list[Remark]:
    """Agents and queues that the setup names and that are not there; they may come later."""
    named = [
        *people(setup.routing, setup.topics),
        *triggers.people(setup.triggers, "triggers"),
        *triggers.people(setup.schedules, "scheduled_rules"),
    ]
    known = {each.id for each in await routing.active_agents(tx, [agent for _, agent in named])}
    doubts = [(path, f"{agent} is no active agent") for path, agent in named if agent not in known]
    for index, category in enumerate(setup.topics.categories):
        queue = category.route.queue
        if queue and not await desk.has_queue(tx, queue):
            doubts.append((f"categories[{index}].route.queue", f"there is no queue {queue}"))
    return doubts


def _default() -> Kept:
    """What queues have that nobody gave a setup."""
    return Kept(0, None, None, convert.to_document(templates.template(templates.DEFAULT).setup))


def _actor(caller: Caller) -> Actor:
    principal = caller.principal
    if principal.role in PEOPLE:
        return Actor(ActorKind.AGENT, principal.name.partition(":")[2])
    return Actor(ActorKind.SERVICE, principal.name)


def _invalid(faults: list[Remark]) -> InvalidInput:
    violations = [Violation(f"setup.{path}", text) for path, text in faults]
    told = "; ".join(f"{each.field} {each.description}" for each in violations)
    return InvalidInput(told, reason="SETUP_INVALID", violations=violations)
