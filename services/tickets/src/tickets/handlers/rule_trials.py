"""Dry runs: what the rules of a setup would have done. Nothing is locked or changed."""

import asyncio
from dataclasses import dataclass, replace
from time import thread_time

from chassis.db import Tx
from tickdesk.tickets.v1 import setup_pb2
from tickets.convert.setup import from_document, to_document
from tickets.domain import rule_actions, rule_trials, triggers
from tickets.domain.audit import Entry
from tickets.domain.model import Queue, Ticket
from tickets.domain.rule_actions import Known
from tickets.domain.rule_runs import Run
from tickets.domain.rule_trials import Trial
from tickets.domain.setup import Setup
from tickets.domain.triggers import Rule
from tickets.handlers.change import changes
from tickets.handlers.setup import require_sound, setup_of
from tickets.store import desk, routing
from tickets.store import triggers as store
from tickets.store.lists import Listed, Page

_TICKETS_A_RULE = 200


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is tried: rules of a queue, those in force or those of a setup that is not put yet."""

    queue: str
    setup: setup_pb2.Setup | None = None
    rules: tuple[str, ...] = ()


async def dry_run(tx: Tx, proposal: Proposal, page: Page) -> Listed[Run]:
    """What would have been done to what happened, newest first. Raises NotFound, InvalidInput."""
    queue = await desk.load_queue(tx, proposal.queue)
    setup = await _setup(tx, queue, proposal)
    events = await store.list_events(tx, queue.key, page)
    known = await _known(tx, queue, setup)
    runs = [] if page.token else await _scheduled(tx, _chosen(setup.schedules, proposal), known)
    trial = Trial(_chosen(setup.triggers, proposal), known, {}, changes, thread_time)
    return Listed([*runs, *await _replayed(tx, events.items, trial)], events.next_token)


async def _setup(tx: Tx, queue: Queue, proposal: Proposal) -> Setup:
    if proposal.setup is None:
        return await setup_of(tx, queue.setup_id)
    document = to_document(proposal.setup)
    await require_sound(tx, queue, document)
    return from_document(document)


def _chosen(rules: tuple[Rule, ...], proposal: Proposal) -> list[Rule]:
    if not proposal.rules:
        return [each for each in rules if not each.off]
    return [replace(each, off=False) for each in rules if each.key in proposal.rules]


async def _known(tx: Tx, queue: Queue, setup: Setup) -> Known:
    named = [each.agent for rule in (*setup.triggers, *setup.schedules) for each in rule.actions
             if isinstance(each, triggers.Assign)]  # fmt: skip
    named += [each.owner for each in setup.topics.components]
    agents = await routing.active_agents(tx, [each for each in named if each])
    return Known(setup, queue, {each.id: each for each in agents}, tx.now)


async def _scheduled(tx: Tx, rules: list[Rule], known: Known) -> list[Run]:
    runs = []
    for rule in rules:
        search = triggers.search(rule, triggers.names_of(known.setup), tx.now)
        for ticket in await store.found_in(tx, known.queue.key, search, _TICKETS_A_RULE):
            await asyncio.sleep(0)
            runs.append(rule_trials.rehearse(_in_setup(ticket, known), rule, known))
    return [each for each in runs if each]


async def _replayed(tx: Tx, entries: list[Entry], trial: Trial) -> list[Run]:
    if not entries or not trial.rules:
        return []
    ids = list({str(each.ticket_id) for each in entries})
    tickets = {each.id: _in_setup(each, trial.known) for each in await store.tickets_now(tx, ids)}
    later = await store.later_entries(tx, ids, entries[-1].id)
    said = await store.words_of_customers(tx, ids)
    names = triggers.names_of(trial.known.setup)
    for rule in trial.rules:
        if rule.query:
            trial.found[rule.key] = await store.finds(tx, ids, triggers.search(rule, names, tx.now))
    runs = []
    for entry in entries:
        # Many rules take a while, and others want to be served meanwhile.
        await asyncio.sleep(0)
        own = [each for each in later if each.ticket_id == entry.ticket_id and each.id > entry.id]
        ticket = rule_trials.as_of(tickets[str(entry.ticket_id)], own, trial.known.setup.fields)
        happened = rule_trials.happened_in(entry, (each for each in said if each.ticket_id == ticket.id))
        ticket.happened = [happened]
        machine = rule_actions.woken_by_machine(ticket)
        then = replace(trial, known=replace(trial.known, now=entry.time, machine=machine))
        runs += rule_trials.replay(ticket, happened, then)
    return runs


def _in_setup(ticket: Ticket, known: Known) -> Ticket:
    ticket.setup_id, ticket.workflow = known.queue.setup_id, known.setup.workflow
    return ticket
