"""Which words of customers escalate, and which only look like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.domain.keywords import LEGAL, UNHAPPY, Keywords, Matcher, faults, words

USUAL = Matcher((LEGAL, UNHAPPY))

TABLE = (
    ("Подам на вас в суд", "legal"),
    ("Встретимся в суде", "legal"),
    ("По решению суда", "legal"),
    ("СУДУ всё расскажем", "legal"),
    ("Затаскаю по судам", "legal"),
    ("Будем судиться", "legal"),
    ("Готовим иск", "legal"),
    ("Решим в судебном порядке", "legal"),
    ("Обращусь в прокуратуру", "legal"),
    ("Это жалоба на оператора", "unhappy"),
    ("Примите жалобу", "unhappy"),
    ("Буду жаловаться", "unhappy"),
    ("Уйду к конкурентам", "unhappy"),
    ("Мы уйдём к другим", "unhappy"),
    ("See you in court", "legal"),
    ("Our lawsuits never fail", "legal"),
    ("I want to file a complaint", "unhappy"),
    ("Then I’ll leave", "unhappy"),
    ("We will leave you", "unhappy"),
    # Other words that begin or end alike.
    ("Посуда пришла разбитой", ""),
    ("Грузовое судно", ""),
    ("Судьба такая", ""),
    ("Искать файл", ""),
    ("Исключение в журнале", ""),
    ("Мне жаль", ""),
    ("Courteous staff in the courtyard", ""),
    ("Please leave a message", ""),
    # The stem is the same, the meaning is not.
    ("Судя по логам, упало всё", ""),
    ("Судите сами", ""),
    ("Сколько времени на это уйдёт?", ""),
    # Decided: a page for nothing costs less than a threat that nobody saw.
    ("Расписание судов", "legal"),
    ("Жалоб нет", "unhappy"),
    ("I will leave at six", "unhappy"),
    ("", ""),
)


@pytest.mark.parametrize(("text", "rule"), TABLE)
def test_words_escalate_by_their_stems_and_not_by_their_looks(text: str, rule: str) -> None:
    """CA-21: «суд», «жалоба», «уйду», court, complaint, "I'll leave"."""
    assert [match.rule.key for match in USUAL.matches(text)] == ([rule] if rule else [])


def test_quoted_text_is_not_what_the_customer_says() -> None:
    assert USUAL.matches("Thank you!\n> see you in court\n  > complaint") == []


def test_a_text_may_fit_several_rules_and_says_by_which_words() -> None:
    found = USUAL.matches("Жалоба уйдёт в суд, жалобу мы напишем")
    assert [(match.rule.key, match.words) for match in found] == [("legal", "суд"), ("unhappy", "жалоба")]


def test_a_phrase_needs_its_words_one_after_another() -> None:
    matcher = Matcher((Keywords("chief", ("talk to your chief",)),))
    assert matcher.matches("I want to talk to your chiefs.")
    assert not matcher.matches("Talk to me, your chief knows")


def test_an_excepted_word_leaves_the_others_of_the_rule() -> None:
    matcher = Matcher((Keywords("ship", ("судно", "суд"), ("суда",)),))
    assert not matcher.matches("суда")
    assert matcher.matches("суда и суды")


def test_a_phrase_without_words_is_a_fault() -> None:
    rules = (Keywords("a", ("ok", "!!")), Keywords("a", ("b",)))
    assert [path for path, _ in faults(rules)] == ["rules[0].phrases[1]", "rules[1].key"]


@given(st.text(max_size=300))
def test_any_text_is_read_and_what_stands_around_a_threat_does_not_hide_it(text: str) -> None:
    USUAL.matches(text)
    around = text.replace(">", "").replace("\n", " ")
    said = [*words(around), "подам", "в", "суд"]
    found = "legal" in [match.rule.key for match in USUAL.matches(f"{around} . подам в суд")]
    assert found or any(len(word) > 40 for word in said) or text.splitlines() != [text]


def test_work_grows_with_the_length_of_the_text_and_no_faster() -> None:
    """Hostile text: what is looked up is bounded by the words and the lengths of phrases."""
    looked_up = 0

    class Counting(dict[tuple[str, ...], list[int]]):
        def get(self, key: tuple[str, ...], default: object = None) -> object:  # type: ignore[override]
            nonlocal looked_up
            looked_up += 1
            return super().get(key, default)

    matcher = Matcher((LEGAL, UNHAPPY))
    lengths = matcher._by_length
    matcher._by_length = {length: Counting(phrases) for length, phrases in lengths.items()}
    text = "суд " * 200_000
    matcher.matches(text)
    assert looked_up <= len(words(text)) * len(lengths)
    assert len(words(text)) <= 65_536
