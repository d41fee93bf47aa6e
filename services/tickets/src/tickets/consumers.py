"""The events that tickets follows, and the function that each of them calls."""

from functools import partial
from typing import Any

from chassis.bus import Subscription
from tickdesk.intake.v1 import events_pb2 as intake
from tickdesk.notifier.v1 import events_pb2 as notifier
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.survey.v1 import events_pb2 as survey
from tickets.handlers import mail, signals, uploads


def subscriptions(default_queue: str) -> tuple[Subscription[Any], ...]:
    """The table; messages to an unknown address go to the default queue."""
    return (
        Subscription(intake.MessageReceived, partial(mail.receive_message, default_queue=default_queue)),
        Subscription(intake.FileUploaded, uploads.file_uploaded),
        Subscription(notifier.DeliverySent, mail.delivery_sent),
        Subscription(notifier.DeliveryFailed, mail.delivery_failed),
        Subscription(sla.ClockStarted, signals.clock_changed),
        Subscription(sla.ClockPaused, signals.clock_changed),
        Subscription(sla.ClockResumed, signals.clock_changed),
        Subscription(sla.ClockRecalculated, signals.clock_changed),
        Subscription(sla.ClockCancelled, signals.clock_changed),
        Subscription(sla.ClockMet, signals.clock_met),
        Subscription(sla.MarkReached, signals.mark_reached),
        Subscription(survey.SurveyAnswered, signals.survey_answered),
    )
