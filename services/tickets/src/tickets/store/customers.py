"""Organisations, contacts, and what changes of customers have still to reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import IntegrityError

from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Refused, Violation
from chassis.pages import page_start
from tickets.domain.customers import Organisation
from tickets.domain.model import Actor, ActorKind, Contact, Customer, Tier
from tickets.store import tables
from tickets.store.lists import Listed, Page, listed
from tickets.store.tables import metadata
from tickets.store.tickets import CONTACTS, to_customer

_ID = sa.Uuid(as_uuid=False)
_TIME = sa.DateTime(timezone=True)

organisation = sa.Table(
    "organisation",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("tier", sa.SmallInteger, nullable=False),
    sa.Column("account_manager", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Index("organisation_name", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
)

organisation_domain = sa.Table(
    "organisation_domain",
    metadata,
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("organisation", sa.ForeignKey("organisation.key", ondelete="CASCADE"), nullable=False),
    sa.Index("organisation_domain_organisation", "organisation"),
)

customer_spread = sa.Table(
    "customer_spread",
    metadata,
    sa.Column("customer_id", sa.ForeignKey("customer.id"), primary_key=True),
    sa.Column("names", ARRAY(sa.Text), nullable=False),
    sa.Column("actor", JSONB, nullable=False),
    sa.Column("after_ticket", _ID),
)
"""Changes of customers that have not reached all their open tickets yet."""

organisation_spread = sa.Table(
    "organisation_spread",
    metadata,
    sa.Column("organisation", sa.ForeignKey("organisation.key"), primary_key=True),
    sa.Column("actor", JSONB, nullable=False),
    sa.Column("after_customer", _ID),
)
"""Changes of organisations that have not reached all their customers yet."""

_c, _k, _o, _d = tables.customer, tables.contact, organisation, organisation_domain


@dataclass(frozen=True, slots=True)
class Spread:
    """A change that is on its way: from whom, what of, and behind which id it goes on."""

    id: str
    actor: Actor
    after: str | None
    names: tuple[str, ...] = ()


async def add_contact(tx: Tx, customer_id: str, contact: Contact) -> None:
    """One more contact. Raises Refused (CONTACT_TAKEN) when another customer has it."""
    row = {"channel": contact.channel, "address": contact.address, "customer_id": customer_id}
    if (await tx.execute(insert(_k).values(row).on_conflict_do_nothing())).rowcount:
        return
    found = sa.select(_k.c.customer_id).where(_is(contact))
    owner = (await tx.execute(found)).scalar_one_or_none() or ""
    if owner != customer_id:
        text = f"{contact.address} belongs to another customer: merge them"
        raise Refused(text, reason="CONTACT_TAKEN", metadata={"customer": owner})


async def remove_contact(tx: Tx, customer_id: str, contact: Contact) -> None:
    """One contact less."""
    await tx.execute(sa.delete(_k).where(_is(contact), _k.c.customer_id == customer_id))


async def hold_arrivals(tx: Tx, *customer_ids: str) -> None:
    """Wait for tickets that are being opened by these customers' contacts, and let new ones wait.

    Whoever opens a ticket holds its contact (`desk.admit`): none opens for a customer who goes or changes."""
    held = sa.select(_k.c.address).where(_k.c.customer_id.in_(customer_ids))
    await tx.execute(held.order_by(_k.c.channel, _k.c.address).with_for_update())


async def load_organisation(tx: Tx, key: str) -> Organisation:
    """One organisation. Raises NotFound (ORGANISATION_NOT_FOUND)."""
    row = (await tx.execute(ORGANISATIONS.where(_o.c.key == key))).one_or_none()
    if row is None:
        raise NotFound(
            f"no organisation {key}", reason="ORGANISATION_NOT_FOUND", metadata={"organisation": key}
        )
    return to_organisation(row)


async def organisation_of(tx: Tx, customer: Customer) -> Organisation | None:
    """The organisation that a customer belongs to."""
    return await load_organisation(tx, customer.organisation_key) if customer.organisation_key else None


async def list_organisations(tx: Tx, page: Page) -> Listed[Organisation]:
    """Organisations by key."""
    query = ORGANISATIONS
    if page.token:
        query = query.where(_o.c.key > page_start(page.token, "organisations", str))
    rows = await tx.execute(query.order_by(_o.c.key).limit(page.limit + 1))
    return listed([to_organisation(row) for row in rows], page, "organisations", lambda each: [each.key])


async def count_customers(tx: Tx, key: str) -> int:
    """How many customers an organisation has."""
    query = sa.select(sa.func.count()).where(_c.c.organisation_key == key, _c.c.merged_into.is_(None))
    return int((await tx.execute(query)).scalar_one())


async def put_organisation(tx: Tx, put: Organisation) -> Organisation:
    """Create or replace. Raises InvalidInput (DOMAIN_TAKEN)."""
    values = {name: getattr(put, name) for name in ("key", "name", "tier", "account_manager", "version")}
    changed = {name: values[name] for name in ("name", "tier", "account_manager")}
    upsert = insert(_o).values(values)
    upsert = upsert.on_conflict_do_update(
        index_elements=[_o.c.key], set_={**changed, "version": _o.c.version + 1}
    )
    put.version = (await tx.execute(upsert.returning(_o.c.version))).scalar_one()
    await tx.execute(sa.delete(_d).where(_d.c.organisation == put.key))
    if put.domains:
        rows = [{"domain": each, "organisation": put.key} for each in put.domains]
        try:
            await tx.execute(insert(_d), rows)
        except IntegrityError as error:
            text = "organisation.domains: one of them belongs to another organisation"
            bad = [Violation("organisation.domains", text)]
            raise InvalidInput(text, reason="DOMAIN_TAKEN", violations=bad) from error
    return put


async def lock_customers_of(tx: Tx, key: str, after: str | None, limit: int) -> list[Customer]:
    """Customers of an organisation behind an id, by id, locked."""
    query = sa.select(_c, CONTACTS).where(_c.c.organisation_key == key, _c.c.merged_into.is_(None))
    if after:
        query = query.where(_c.c.id > after)
    rows = await tx.execute(query.order_by(_c.c.id).limit(limit).with_for_update(of=_c, key_share=True))
    return [to_customer(row) for row in rows.mappings()]


async def spread_customer(tx: Tx, customer_id: str, names: Sequence[str], actor: Actor) -> None:
    """Let the customer's open tickets follow a change; one that is on its way begins anew with both."""
    table = customer_spread
    values: dict[str, Any] = {"names": list(names), "actor": _json(actor), "after_ticket": None}
    upsert = insert(table).values(customer_id=customer_id, **values)
    both = sa.select(sa.func.array_agg(sa.distinct(sa.column("name")))).select_from(
        sa.func.unnest(table.c.names.op("||")(upsert.excluded.names)).alias("name")
    )
    values["names"] = both.scalar_subquery()
    await tx.execute(upsert.on_conflict_do_update(index_elements=["customer_id"], set_=values))


async def spread_organisation(tx: Tx, key: str, actor: Actor) -> None:
    """Let the customers of an organisation follow its change."""
    values = {"actor": _json(actor), "after_customer": None}
    upsert = insert(organisation_spread).values(organisation=key, **values)
    await tx.execute(upsert.on_conflict_do_update(index_elements=["organisation"], set_=values))


async def next_customer_spread(tx: Tx) -> Spread | None:
    """A change of a customer to carry on with, locked; None when nobody waits."""
    query = sa.select(customer_spread).limit(1).with_for_update(skip_locked=True)
    row = (await tx.execute(query)).one_or_none()
    return Spread(row.customer_id, _actor(row.actor), row.after_ticket, tuple(row.names)) if row else None


async def next_organisation_spread(tx: Tx) -> Spread | None:
    """A change of an organisation to carry on with, locked; None when nobody waits."""
    query = sa.select(organisation_spread).limit(1).with_for_update(skip_locked=True)
    row = (await tx.execute(query)).one_or_none()
    return Spread(row.organisation, _actor(row.actor), row.after_customer) if row else None


async def move_customer_spread(tx: Tx, customer_id: str, after: str | None) -> None:
    """Go on behind this ticket, or be done."""
    await _move(tx, customer_spread.c.customer_id == customer_id, customer_spread.c.after_ticket, after)


async def move_organisation_spread(tx: Tx, key: str, after: str | None) -> None:
    """Go on behind this customer, or be done."""
    table = organisation_spread
    await _move(tx, table.c.organisation == key, table.c.after_customer, after)


async def _move(tx: Tx, mine: sa.ColumnElement[bool], place: sa.Column[Any], after: str | None) -> None:
    if after is None:
        await tx.execute(sa.delete(place.table).where(mine))
    else:
        await tx.execute(sa.update(place.table).where(mine).values({place.name: after}))


_DOMAINS = (
    sa.select(sa.func.array_agg(sa.dialects.postgresql.aggregate_order_by(_d.c.domain, _d.c.domain)))
    .where(_d.c.organisation == _o.c.key)
    .correlate(_o)
    .scalar_subquery()
    .label("domains")
)
ORGANISATIONS = sa.select(_o, _DOMAINS)
"""Whole organisations; add the condition."""


def to_organisation(row: sa.Row[Any]) -> Organisation:
    """An organisation out of a row of ORGANISATIONS."""
    return Organisation(
        row.key, row.name, Tier(row.tier), row.account_manager, list(row.domains or []), row.version
    )


def _is(contact: Contact) -> sa.ColumnElement[bool]:
    return sa.and_(_k.c.channel == contact.channel, _k.c.address == contact.address)


def _json(actor: Actor) -> dict[str, Any]:
    return {"kind": int(actor.kind), "id": actor.id, "name": actor.name}


def _actor(value: dict[str, Any]) -> Actor:
    return Actor(ActorKind(value["kind"]), value["id"], value["name"])
