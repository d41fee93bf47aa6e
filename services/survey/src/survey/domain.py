"""When a customer is asked, on which scale, and what an answer means. Pure; time is an argument."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.errors import InvalidInput, Refused, Violation

COMMENT_LENGTH = 2000
GOOD = 75
# Three of five stars is a warning; of three faces only the sad one is.
_LOW = {5: 50, 3: 25}
# A comment is text: line ends and tabs stay, other controls and direction marks go.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class State(StrEnum):
    """Where a survey stands."""

    PLANNED = "planned"
    ASKED = "asked"
    ANSWERED = "answered"
    SKIPPED = "skipped"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Policy:
    """How one queue asks. `low_threshold` is the highest score (0 to 100) that counts as low."""

    delay: timedelta
    scale: int
    sample_percent: float
    low_threshold: int | None = None

    @property
    def threshold(self) -> int:
        """The highest low score, by the scale where the policy names none."""
        return _LOW[self.scale] if self.low_threshold is None else self.low_threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One question about one cycle of a ticket."""

    id: UUID
    ticket_id: str
    ticket_key: str
    queue: str
    cycle: int
    state: State
    scale: int
    threshold: int
    ask_at: datetime
    created_at: datetime
    language: str
    recipient: str
    recipient_name: str
    ticket_subject: str
    agent_id: str
    raw: int = 0
    score: int = 0
    comment: str = ""
    detail: str = ""
    answered_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def low(self) -> bool:
        """True when the answer is at or under the threshold."""
        return self.state is State.ANSWERED and self.score <= self.threshold


def identity(ticket_id: str, cycle: int) -> UUID:
    """The id of the question about one cycle: closing twice asks once."""
    return uuid5(NAMESPACE_URL, f"tickdesk/survey/{ticket_id}/{cycle}")


def is_sampled(survey_id: UUID, percent: float) -> bool:
    """Tell whether a survey is in the share that is asked; the same survey always gets the same answer."""
    return int.from_bytes(hashlib.sha256(survey_id.bytes).digest()[:4], "big") % 10_000 < percent * 100


def normalised(raw: int, scale: int) -> int:
    """An answer as 0 to 100: the worst is 0, the best 100, whatever the scale."""
    return round((raw - 1) * 100 / (scale - 1))


def answered(survey: Survey, raw: int, comment: str | None, now: datetime, window: timedelta) -> Survey:
    """The survey after a vote; `comment` of None keeps the one there is.

    Raises InvalidInput for a score off the scale or a comment too long, Refused when the edit window is over.
    """
    if not 1 <= raw <= survey.scale:
        field = Violation("score", f"must be 1 to {survey.scale}")
        raise InvalidInput(f"score must be 1 to {survey.scale}", reason="SCORE_OFF_SCALE", violations=[field])
    words = survey.comment if comment is None else _CONTROLS.sub("", comment.replace("\r\n", "\n")).strip()
    if len(words) > COMMENT_LENGTH:
        field = Violation("comment", f"at most {COMMENT_LENGTH} characters")
        raise InvalidInput("the comment is too long", reason="COMMENT_TOO_LONG", violations=[field])
    if not can_answer(survey, now, window):
        raise Refused("the answer can no longer be changed", reason="EDIT_WINDOW_OVER")
    return replace(
        survey,
        state=State.ANSWERED,
        raw=raw,
        score=normalised(raw, survey.scale),
        comment=words,
        answered_at=survey.answered_at or now,
    )


def can_answer(survey: Survey, now: datetime, window: timedelta) -> bool:
    """Tell whether a vote is taken now: asked and within its term, or answered within the edit window."""
    if survey.state is State.ANSWERED and survey.answered_at:
        return now < survey.answered_at + window
    return survey.state is State.ASKED and not is_over(survey, now)


def is_over(survey: Survey, now: datetime) -> bool:
    """Tell whether the link's term ran out without an answer."""
    term = survey.state is State.ASKED and survey.expires_at is not None and now >= survey.expires_at
    return term or survey.state is State.EXPIRED
