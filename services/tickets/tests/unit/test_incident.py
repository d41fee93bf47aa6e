"""Noticing that many tickets are about one thing."""

from hypothesis import given
from hypothesis import strategies as st

from services.tickets.tests.unit.stories import START
from tickets.domain.incident import Burst, Recent, bursts, known_topic, topics


def seen(*subjects: str, category: str = "", component: str = "") -> list[Recent]:
    return [
        Recent(str(number), category, component, subject, START) for number, subject in enumerate(subjects)
    ]


def test_tickets_that_share_two_telling_words_are_about_one_thing() -> None:
    """KT-16, MP-16: in any form and order; words that everybody says do not count."""
    found = bursts(
        seen(
            "Не проходит оплата картой",
            "Здравствуйте, оплата не проходит!",
            "Срочно: вопрос",
            "Оплаты не проходят",
            "Срочно: вопрос",
            "Здравствуйте, срочно вопрос",
        ),
        3,
    )
    assert [each.ticket_ids for each in found] == [("0", "1", "3")]
    assert found[0].topic.startswith("words:")


def test_what_people_chose_goes_before_words() -> None:
    recent = seen("Site is down", "Site is down", category="payment/card")
    assert bursts(recent, 2) == [Burst("category:payment/card", ("0", "1"))]
    assert next(topics(seen("x", component="billing", category="c")[0])) == "component:billing"


def test_fewer_than_the_count_are_no_burst() -> None:
    assert bursts(seen("Site is down", "Site is down"), 3) == []
    assert bursts([], 2) == []
    assert bursts(seen("", "", "?"), 2) == []


def test_a_ticket_about_a_known_thing_is_told_by_any_of_its_topics() -> None:
    late = seen("Картой оплата снова не проходит")[0]
    topic = bursts(seen("Оплата не проходит", "Оплата не проходит"), 2)[0].topic
    assert known_topic(late, ["", "component:x", topic]) == topic
    assert known_topic(seen("Invoice")[0], ["", topic]) == ""


SUBJECTS = st.lists(
    st.sampled_from(["", "site down", "down site again", "card payment", "payment card", "x"])
)


@given(SUBJECTS, st.integers(2, 5))
def test_no_ticket_is_in_two_bursts_and_each_is_large_enough(subjects: list[str], count: int) -> None:
    found = bursts(seen(*subjects), count)
    ids = [identity for burst in found for identity in burst.ticket_ids]
    assert len(ids) == len(set(ids))
    assert all(len(burst.ticket_ids) >= count for burst in found)
    assert all(list(burst.ticket_ids) == sorted(burst.ticket_ids, key=int) for burst in found)
