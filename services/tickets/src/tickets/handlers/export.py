"""Everything that the desk keeps, a record at a time and as of one moment."""

from collections.abc import AsyncGenerator

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickets.domain.export import Kind
from tickets.handlers.change import agent_of
from tickets.handlers.query import Asked, resolved
from tickets.store import export as store
from tickets.store.export_sources import Owner
from tickets.store.rights import PEOPLE


async def export(
    tx: Tx, kind: Kind, asked: Asked, token: str, *, public_only: bool
) -> AsyncGenerator[tuple[str, object]]:
    """Records of a kind from a token on, each with its own.

    Raises BadQuery, InvalidInput (QUERY_NOT_OF_TICKETS, PAGE_TOKEN_INVALID), Exhausted.
    """
    await store.fix_moment(tx)
    if kind is Kind.TICKETS:
        search = await resolved(tx, asked)
        scope = f"export\0{asked.query}\0{public_only}"
        wanted = store.Wanted(search, token, scope, asked.staff, public_only)
        async for ticket in store.tickets(tx, wanted):
            yield ticket
        return
    if asked.query:
        text = "finds tickets, so it needs their kind"
        raise InvalidInput(
            f"query {text}", reason="QUERY_NOT_OF_TICKETS", violations=[Violation("query", text)]
        )
    principal = asked.caller.principal
    owner = Owner(agent_of(asked.caller), principal.name) if principal.role in PEOPLE else None
    async for record in store.records(tx, kind, token, owner, public_only=public_only):
        yield record
