"""Queues, agents and customers."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from chassis.db import Repeated, Tx
from chassis.errors import InvalidInput, NotFound, Refused, Violation
from tickets.domain import customers
from tickets.domain.model import Agent, Contact, Customer, Line, Priority, Queue, Tier
from tickets.domain.statuses import OPEN_KINDS
from tickets.store import rights, tables
from tickets.store.agents import to_agent
from tickets.store.body import instant
from tickets.store.prepared import Prepared, Row
from tickets.store.tickets import CONTACTS, EARLIER, to_customer

_OF_SETUP = ("setup_id", "setup_version", "confirmation_seconds")
_q, _a, _c, _t = tables.queue, tables.agent, tables.customer, tables.ticket

_ADDRESSES = (
    sa.select(
        sa.func.array_agg(
            sa.dialects.postgresql.aggregate_order_by(
                tables.queue_address.c.address, tables.queue_address.c.position
            )
        )
    )
    .where(tables.queue_address.c.queue == _q.c.key)
    .correlate(_q)
    .scalar_subquery()
    .label("addresses")
)
QUEUES = sa.select(_q, _ADDRESSES)
"""Whole queues; add the condition."""

# The claim of the call, the queue with the next number of its sequence, and the customer of a contact, made
# when there is none; nothing is done when the call was made before. A number is lost when the transaction
# fails; numbers are unique, not without gaps. Nothing here waits for another ticket of the queue, as a
# counter in its row would. A contact that another transaction made a moment ago is returned by id only: this
# statement cannot see that customer yet.
_ADMIT = Prepared(
    sa.text(
        """
    with claimed as (
        insert into request (id, principal, method, body_hash, response, at)
        select :call, :principal, :method, :body_hash, '', :now where :call <> ''
        on conflict do nothing returning id
    ), fresh as (
        select 1 where :call = '' or exists (select from claimed)
    ), known as (
        select customer_id from contact where channel = :channel and address = :address for key share
    ), added as (
        insert into contact (channel, address, customer_id)
        select :channel, :address, cast(:new_id as uuid) from fresh where not exists (select from known)
        on conflict (channel, address) do update set address = excluded.address
        returning customer_id
    ), owner as (
        select customer_id as id from known union all select customer_id from added
    ), joined as (
        select o.key, o.name, o.tier, o.account_manager
        from organisation_domain d join organisation o on o.key = d.organisation where d.domain = :domain
    ), born as (
        insert into customer (
            id, name, language, numbers, created_time, organisation_key, organisation, tier, account_manager
        )
        select id, :name, :language, cast(:numbers as text[]), :now,
            coalesce(j.key, ''), coalesce(j.name, ''), coalesce(j.tier, 1), coalesce(j.account_manager, '')
        from owner left join joined j on true where id = cast(:new_id as uuid)
    )
    select queue.*, owner.id as customer_id,
        (select to_jsonb(customer) from customer where customer.id = owner.id) as customer,
        (select array_agg(a.address order by a.position) from queue_address a where a.queue = queue.key)
            as addresses,
        (select jsonb_agg(jsonb_build_array(o.channel, o.address)) from contact o
            where o.customer_id = owner.id) as contacts,
        (select jsonb_agg(jsonb_build_array(before.subject, before.body -> 'contacts')) from (
            select subject, body from ticket t
            where t.customer_id = owner.id and t.queue = queue.key and t.created_time >= :since
            order by t.created_time desc limit 10
        ) before) as earlier,
        (select to_jsonb(joined) from joined) as joined,
        case when queue.key is not null
            then nextval(cast('ticket_number_' || lower(queue.key) as regclass)) end as number
    from fresh left join queue on queue.key = :queue
        left join owner on true
    """
    )
)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a new ticket needs: its queue and number, the customer, their contacts on earlier tickets."""

    queue: Queue
    number: int
    customer: Customer
    earlier: list[tuple[str, list[datetime]]]


async def admit(tx: Tx, queue: str, sender: Contact, newcomer: Customer) -> Admission:
    """The queue, the number of its next ticket, and the customer behind a contact; the call is claimed.

    Without one the `newcomer` becomes it. Raises NotFound (QUEUE_NOT_FOUND), Repeated.
    """
    claim = tx.claim
    values = {
        "call": claim.id,
        "principal": claim.principal,
        "method": claim.method,
        "body_hash": claim.body_hash,
        "queue": queue,
        "channel": sender.channel,
        "address": sender.address,
        "new_id": newcomer.id,
        "name": newcomer.name,
        "language": newcomer.language,
        "numbers": newcomer.numbers,
        "domain": customers.domain_of(sender),
        "now": newcomer.created_time,
        "since": newcomer.created_time - EARLIER,
    }
    rows = await _ADMIT.rows(tx, values)
    if not rows:
        raise Repeated
    row = rows[0]
    if row["key"] is None:
        raise NotFound(f"no queue {queue}", reason="QUEUE_NOT_FOUND", metadata={"queue": queue})
    earlier = row["earlier"] or []
    contacts = [(subject, [instant(each) for each in times or []]) for subject, times in earlier]
    return Admission(to_queue(row), row["number"], await _owner(tx, row, newcomer), contacts)


async def _owner(tx: Tx, row: Row, newcomer: Customer) -> Customer:
    """The customer of an admission."""
    customer_id = str(row["customer_id"])
    if customer_id == newcomer.id:
        if row["joined"]:
            joined = row["joined"]
            customers.settle(newcomer, customers.Organisation(**{**joined, "tier": Tier(joined["tier"])}))
        return newcomer
    if row["customer"] is None:
        return await load_customer(tx, customer_id)
    created = datetime.fromisoformat(row["customer"]["created_time"])
    return to_customer({**row["customer"], "created_time": created, "contacts": row["contacts"]})


async def queue_of_account(tx: Tx, account: str, default: str) -> str | None:
    """Key of the queue that an address belongs to, else the default one, else the first; None without any."""
    named = sa.select(tables.queue_address.c.queue).where(tables.queue_address.c.address == account)
    query = sa.select(_q.c.key).order_by(
        (_q.c.key == named.scalar_subquery()).desc().nulls_last(), (_q.c.key == default).desc(), _q.c.key
    )
    key: str | None = (await tx.execute(query.limit(1))).scalar_one_or_none()
    return key


async def load_queue(tx: Tx, key: str, *, lock: bool = False) -> Queue:
    """One queue, `lock` against other changes of it. Raises NotFound (QUEUE_NOT_FOUND)."""
    query = QUEUES.where(_q.c.key == key)
    # New tickets refer to the queue's key: they need not wait for who changes the rest of it.
    found = await tx.execute(query.with_for_update(of=_q, key_share=True) if lock else query)
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound(f"no queue {key}", reason="QUEUE_NOT_FOUND", metadata={"queue": key})
    return to_queue(row)


async def has_queue(tx: Tx, key: str) -> bool:
    """Whether there is a queue of this key."""
    return bool((await tx.execute(sa.select(sa.exists().where(_q.c.key == key)))).scalar())


async def find_queue(tx: Tx, key: str) -> Queue | None:
    """One queue, if there is one of this key."""
    row = (await tx.execute(QUEUES.where(_q.c.key == key))).mappings().one_or_none()
    return to_queue(row) if row else None


async def put_queue(tx: Tx, queue: Queue) -> Queue:
    """Create or replace a queue with its addresses. Raises InvalidInput for an address of another queue."""
    values = {each.name: getattr(queue, each.name) for each in _q.c if each.name not in _OF_SETUP}
    upsert = insert(_q).values(values)
    changed = {name: value for name, value in values.items() if name not in ("key", "version")}
    upsert = upsert.on_conflict_do_update(
        index_elements=[_q.c.key], set_={**changed, "version": _q.c.version + 1}
    )
    kept = (await tx.execute(upsert.returning(_q.c.version, _q.c.setup_id, _q.c.setup_version))).one()
    queue.version, queue.setup_id, queue.setup_version = kept.version, kept.setup_id or "", kept.setup_version
    if queue.version == 1:
        # The key is 2 to 10 capital letters or digits by now, so the name is safe; it takes no parameters.
        await tx.execute(sa.schema.CreateSequence(sa.Sequence(f"ticket_number_{queue.key.lower()}")))
    await _put_addresses(tx, queue)
    return queue


async def find_agent(tx: Tx, agent_id: str) -> Agent | None:
    """One agent, unless they are unknown or left."""
    found = await tx.execute(sa.select(_a).where(_a.c.id == agent_id, _a.c.active))
    row = found.mappings().one_or_none()
    return to_agent(row) if row else None


async def load_agent(tx: Tx, agent_id: str) -> Agent:
    """One active agent. Raises NotFound (AGENT_NOT_FOUND)."""
    agent = await find_agent(tx, agent_id)
    if agent is None:
        text = f"no active agent {agent_id}: add them with PutAgent"
        raise NotFound(text, reason="AGENT_NOT_FOUND", metadata={"agent": agent_id})
    return agent


async def known_agent(tx: Tx, agent_id: str) -> Agent | None:
    """One agent, active or not, if there is one of this id."""
    row = (await tx.execute(sa.select(_a).where(_a.c.id == agent_id))).mappings().one_or_none()
    return to_agent(row) if row else None


async def leads_of(tx: Tx, queue: str, line: Line) -> list[str]:
    """Ids of the agents who head a line in a queue, at most 10."""
    theirs = sa.or_(sa.func.cardinality(_a.c.queues) == 0, _a.c.queues.contains([queue]))
    query = sa.select(_a.c.id).where(_a.c.active, _a.c.leads.contains([line]), theirs)
    return list((await tx.execute(query.order_by(_a.c.id).limit(10))).scalars())


async def agents_like(tx: Tx, prefix: str) -> list[tuple[str, str]]:
    """Ids and names of active agents whose id or name begins so, at most 10."""
    begins = sa.or_(
        _a.c.id.istartswith(prefix, autoescape=True), _a.c.name.istartswith(prefix, autoescape=True)
    )
    found = await tx.execute(
        sa.select(_a.c.id, _a.c.name).where(_a.c.active, begins).order_by(_a.c.id).limit(10)
    )
    return [(row.id, row.name) for row in found]


async def queues_like(tx: Tx, prefix: str) -> list[tuple[str, str]]:
    """Keys and names of queues whose key or name begins so, at most 10."""
    begins = sa.or_(
        _q.c.key.istartswith(prefix, autoescape=True), _q.c.name.istartswith(prefix, autoescape=True)
    )
    found = await tx.execute(sa.select(_q.c.key, _q.c.name).where(begins).order_by(_q.c.key).limit(10))
    return [(row.key, row.name) for row in found]


async def put_agent(tx: Tx, agent: Agent) -> Agent:
    """Create or replace an agent."""
    values = {each.name: getattr(agent, each.name) for each in _a.c}
    changed = {name: value for name, value in values.items() if name not in ("id", "version")}
    upsert = insert(_a).values(values)
    upsert = upsert.on_conflict_do_update(
        index_elements=[_a.c.id], set_={**changed, "version": _a.c.version + 1}
    )
    agent.version = (await tx.execute(upsert.returning(_a.c.version))).scalar_one()
    return agent


async def load_customer(tx: Tx, customer_id: str, *, lock: bool = False) -> Customer:
    """One customer with contacts. Raises NotFound (CUSTOMER_NOT_FOUND), Refused (CUSTOMER_MERGED)."""
    found = await _load_customer(tx, customer_id, lock=lock)
    if found.merged_into:
        text = f"{found.name or 'the customer'} was merged into another one"
        raise Refused(text, reason="CUSTOMER_MERGED", metadata={"customer": found.merged_into})
    return found


async def lock_pair(
    tx: Tx, source_id: str, target_id: str, *, merged: bool = False
) -> tuple[Customer, Customer]:
    """Two customers, locked in one order for everybody; the source may be `merged`."""
    found: dict[str, Customer] = {}
    for each in sorted((source_id, target_id)):
        load = _load_customer if merged and each == source_id else load_customer
        found[each] = await load(tx, each, lock=True)
    return found[source_id], found[target_id]


async def _load_customer(tx: Tx, customer_id: str, *, lock: bool = False) -> Customer:
    query = sa.select(_c, CONTACTS).where(_c.c.id == customer_id)
    found = await tx.execute(query.with_for_update(of=_c, key_share=True) if lock else query)
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such customer", reason="CUSTOMER_NOT_FOUND", metadata={"customer": customer_id})
    return to_customer(row)


async def save_customer(tx: Tx, customer: Customer) -> None:
    """The changed columns of a locked customer."""
    row = {
        each.name: getattr(customer, each.name) for each in _c.c if each.name not in ("id", "created_time")
    }
    await tx.execute(sa.update(_c).where(_c.c.id == customer.id).values(row))


async def add_number(tx: Tx, customer_id: str, number: str) -> None:
    """One more customer number, unless it is known or there are a hundred."""
    room = sa.func.cardinality(_c.c.numbers) < customers.MAX_NUMBERS
    change = sa.update(_c).where(_c.c.id == customer_id, ~_c.c.numbers.contains([number]), room)
    await tx.execute(change.values(numbers=sa.func.array_append(_c.c.numbers, number)))


async def count_tickets(tx: Tx, customer_id: str) -> tuple[int, int]:
    """How many tickets a customer has that the caller may see, and how many of them are open."""
    is_open = _t.c.status_kind.in_(OPEN_KINDS)
    query = sa.select(sa.func.count().label("total"), sa.func.count().filter(is_open).label("running")).where(
        _t.c.customer_id == customer_id, *await rights.visible(tx)
    )
    row = (await tx.execute(query)).one()
    return row.total, row.running


def to_queue(row: Row) -> Queue:
    """A queue out of a row of QUEUES."""
    return Queue(
        key=row["key"],
        name=row["name"],
        addresses=list(row["addresses"] or []),
        default_priority=Priority(row["default_priority"]),
        default_language=row["default_language"],
        first_line=Line(row["first_line"]),
        last_line=Line(row["last_line"]),
        public_lines=[Line(each) for each in row["public_lines"]],
        version=row["version"],
        setup_id=str(row["setup_id"] or ""),
        setup_version=row["setup_version"],
    )


async def _put_addresses(tx: Tx, queue: Queue) -> None:
    table = tables.queue_address
    await tx.execute(sa.delete(table).where(table.c.queue == queue.key))
    rows = [{"address": each, "queue": queue.key, "position": i} for i, each in enumerate(queue.addresses)]
    if not rows:
        return
    try:
        await tx.execute(insert(table), rows)
    except IntegrityError as error:
        text = "queue.addresses: one of them belongs to another queue"
        raise InvalidInput(
            text, reason="ADDRESS_TAKEN", violations=[Violation("queue.addresses", text)]
        ) from error
