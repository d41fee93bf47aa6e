"""Between surveys and the messages of the contracts; pure."""

import re

from survey.domain import State, Survey
from tickdesk.common.v1 import common_pb2
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import ticket_pb2

LANGUAGES = ("ru", "en")
_ADDRESS = re.compile(r"[^\s@<>,;\"\x00-\x1f]{1,64}@[^\s@<>,;\"\x00-\x1f]{1,255}")


def survey_message(survey: Survey) -> survey_pb2.Survey:
    """A survey as the contract shows it."""
    message = survey_pb2.Survey(
        id=str(survey.id),
        kind=survey_pb2.SURVEY_KIND_CUSTOMER,
        ticket_id=survey.ticket_id,
        ticket_key=survey.ticket_key,
        queue=survey.queue,
        cycle=survey.cycle,
        state=survey_pb2.SurveyState.Value(f"SURVEY_STATE_{survey.state.name}"),
        scale=survey.scale,
        raw=survey.raw,
        score=survey.score,
        comment=survey.comment,
        low=survey.low,
        language=survey.language,
        recipient=survey.recipient,
        agent_id=survey.agent_id,
    )
    message.ask_time.FromDatetime(survey.ask_at)
    if survey.answered_at:
        message.answered_time.FromDatetime(survey.answered_at)
    return message


def state_name(value: survey_pb2.SurveyState.ValueType) -> str:
    """The stored word of a state."""
    return State[survey_pb2.SurveyState.Name(value).removeprefix("SURVEY_STATE_")].value


def customer_email(ticket: ticket_pb2.Ticket) -> str:
    """The customer's first e-mail address; may be empty."""
    contacts = ticket.customer.contacts
    mail = (one.address.lower() for one in contacts if one.channel == common_pb2.CHANNEL_EMAIL)
    return next(filter(_ADDRESS.fullmatch, mail), "")


def pick_language(*wishes: str) -> str:
    """The first of the wishes that there are texts in."""
    return next((wish for wish in wishes if wish in LANGUAGES), "en")
