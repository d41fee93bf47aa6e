"""What rules do to a ticket, rehearsed: whatever the actions are, the ticket itself stays as it is."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput, Refused
from services.tickets.tests.unit.stories import a_ticket, an_agent, at, in_status
from tickets.domain import rule_actions
from tickets.domain.attributes import Change
from tickets.domain.model import Conversation, Line, Priority, Queue
from tickets.domain.rule_actions import Known
from tickets.domain.setup import Setup
from tickets.domain.triggers import (
    Action,
    AddNote,
    Assign,
    CallWebhook,
    Escalate,
    Notify,
    Reply,
    Rule,
    SetStatus,
    SetValues,
)

TEXTS = (("ru", "{{ ticket.key }}!"), ("en", "{{ ticket.key }}"))
KNOWN = Known(Setup(), Queue("SUP", "Support"), {"anna": an_agent("anna")}, at(60))
STATUSES = ("new", "in_progress", "waiting", "escalated", "resolved", "closed")
ACTIONS = st.one_of(
    st.sampled_from(Priority).map(lambda each: SetValues(Change(add_tags=("a",)), each)),
    st.sampled_from(STATUSES).map(SetStatus),
    st.sampled_from(["anna", "gone", ""]).map(Assign),
    st.sampled_from([Reply(TEXTS), AddNote(TEXTS), CallWebhook("crm"), Notify(TEXTS, agents=("anna",))]),
    st.builds(Escalate, st.sampled_from([None, Line.L2]), st.booleans(), st.booleans()),
)


@given(st.sampled_from(STATUSES[:-1]), st.lists(ACTIONS, max_size=5))
def test_a_rehearsal_leaves_the_ticket_as_it_is_and_the_same_again_comes_out(
    status: str, actions: list[Action]
) -> None:
    ticket = in_status(status)
    ticket.conversations = [Conversation("conv", 1, "client@client.example")]
    before = deepcopy(ticket)
    rule = Rule("any", tuple(actions))

    def told() -> object:
        try:
            return rule_actions.rehearse(ticket, rule, KNOWN)
        except (Refused, InvalidInput) as error:
            return error.message

    first = told()
    assert ticket == before
    assert told() == first
    copy = rule_actions.copy_of(ticket)
    for action in actions if isinstance(first, list) else ():
        # What was rehearsed is not refused when it is done.
        rule_actions.apply(copy, action, KNOWN)


def test_a_rule_writes_to_nobody_where_there_is_no_conversation() -> None:
    told = rule_actions.rehearse(a_ticket(), Rule("r", (Reply(TEXTS),)), KNOWN)
    assert told == ["no reply: there is no conversation to write in"]


def test_a_rule_gives_a_ticket_to_the_owner_of_its_component_if_there_is_one() -> None:
    assert rule_actions.rehearse(a_ticket(), Rule("r", (Assign(component_owner=True),)), KNOWN) == []


@pytest.mark.parametrize("action", [SetStatus("new"), SetValues(Change(add_tags=("a",))), AddNote(TEXTS)])
def test_a_ticket_that_goes_on_elsewhere_is_left_as_it_is(action: Action) -> None:
    """A rule would open it again, and nobody could work on it: people are refused that, too."""
    ticket = in_status("closed")
    ticket.merged_into_id, ticket.merged_into_key = "other", "SUP-2"
    with pytest.raises(Refused, match="merged into SUP-2"):
        rule_actions.rehearse(ticket, Rule("r", (action,)), KNOWN)
    assert rule_actions.rehearse(ticket, Rule("r", (CallWebhook("crm"),)), KNOWN) == ["webhook crm"]
