"""The scale, the sample, the window."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput, Refused
from survey import domain, http_api
from survey.domain import Policy, State, Survey

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=15)


def a_survey(**changes: object) -> Survey:
    survey = Survey(
        id=domain.identity("t", 1),
        ticket_id="t",
        ticket_key="SUP-1",
        queue="SUP",
        cycle=1,
        state=State.ASKED,
        scale=5,
        threshold=50,
        ask_at=NOW,
        created_at=NOW,
        language="en",
        recipient="client@mail.test",
        recipient_name="Ivan",
        ticket_subject="Fire",
        agent_id="anna",
        expires_at=NOW + timedelta(days=14),
    )
    return replace(survey, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scale", "scores"), [(5, [0, 25, 50, 75, 100]), (3, [0, 50, 100])])
def test_answers_are_normalised_to_a_hundred(scale: int, scores: list[int]) -> None:
    """product.md: normalised to 0-100 and kept raw."""
    assert [domain.normalised(raw, scale) for raw in range(1, scale + 1)] == scores


def test_three_of_five_is_low_and_the_middle_face_is_not() -> None:
    """MP-18, KT-10: a threshold fits its scale unless the policy names one."""
    assert Policy(timedelta(), 5, 100).threshold == 50
    assert Policy(timedelta(), 3, 100).threshold == 25
    assert Policy(timedelta(), 5, 100, 25).threshold == 25


def test_the_sample_has_its_size_and_is_stable() -> None:
    """CA-23: sampling at high volume."""
    ids = [uuid4() for _ in range(4000)]
    chosen = [one for one in ids if domain.is_sampled(one, 25)]
    assert 800 < len(chosen) < 1200
    assert all(domain.is_sampled(one, 25) for one in chosen)
    assert all(domain.is_sampled(one, 100) for one in ids)
    assert not any(domain.is_sampled(one, 0) for one in ids)


def test_an_answer_can_be_changed_until_the_window_ends() -> None:
    """faults 35: last wins inside the edit window."""
    first = domain.answered(a_survey(), 2, "slow", NOW, WINDOW)
    later = NOW + WINDOW - timedelta(seconds=1)
    second = domain.answered(first, 5, None, later, WINDOW)
    assert (second.raw, second.score, second.comment) == (5, 100, "slow")
    assert second.answered_at == NOW
    with pytest.raises(Refused):
        domain.answered(second, 1, None, NOW + WINDOW, WINDOW)


@pytest.mark.parametrize("state", [State.PLANNED, State.SKIPPED, State.EXPIRED])
def test_only_what_was_asked_is_answered(state: State) -> None:
    with pytest.raises(Refused):
        domain.answered(a_survey(state=state), 5, None, NOW, WINDOW)


def test_a_link_takes_no_answer_from_the_instant_its_term_ends() -> None:
    survey = a_survey(expires_at=NOW)
    assert domain.is_over(survey, NOW)
    assert not domain.is_over(survey, NOW - timedelta(microseconds=1))
    with pytest.raises(Refused):
        domain.answered(survey, 5, None, NOW, WINDOW)


@given(raw=st.integers(), comment=st.none() | st.text(max_size=2500))
def test_an_answer_is_whole_or_refused(raw: int, comment: str | None) -> None:
    """Bad input changes nothing; what is taken is on the scale and clean."""
    try:
        survey = domain.answered(a_survey(), raw, comment, NOW, WINDOW)
    except InvalidInput as error:
        refused = [violation.field for violation in error.violations]
    else:
        assert 1 <= survey.raw <= 5
        assert len(survey.comment) <= 2000
        assert "\x00" not in survey.comment
        return
    assert refused == ["comment" if 1 <= raw <= 5 else "score"]


def test_both_languages_say_the_same_things() -> None:
    """Every text exists in Russian and in English."""

    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return len(value) if isinstance(value, list) else type(value).__name__

    russian, english = http_api._words("ru"), http_api._words("en")
    assert shape(russian) == shape(english)
    assert json.dumps(russian) != json.dumps(english)
