"""CA-33: who only asks for news, and in which language."""

import pytest

from intake.reading.wording import is_nudge, language_of


@pytest.mark.parametrize(
    "text",
    [
        "any news?",
        "Есть новости?",
        "ну что там?",
        "up",
        "АП!",
        "bump",
        "Добрый день! Есть ли новости по моей заявке?",
        "Здравствуйте, Анна! Когда ждать ответа?",
        "Hi John,\nany updates on my ticket SUP-12?\nThanks",
        "Just following up on this",
        "still waiting",
        "до сих пор нет ответа",
        "Коллеги, какой статус?",
        "what's the status?",
        "прошло 3 дня, есть какие-нибудь новости?",
        "Напоминаю о своём вопросе",
        "Жаңалық бар ма?",
        "Hello? Anyone there?",
    ],
)
def test_asking_for_news_is_recognised(text: str) -> None:
    assert is_nudge(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        "Спасибо",
        "Не работает оплата",
        "Есть новости? И ещё не работает вход",
        "жду возврата денег",
        "Как сменить пароль?",
        "Any way to export data?",
        "status page is down",
        "Обновление сломало вход",
        "Статус заказа не меняется, приложение падает",
        "The update broke login",
        "Ответ не помог",
        "any news? " * 30,
    ],
)
def test_a_message_with_a_matter_of_its_own_is_not_a_nudge(text: str) -> None:
    assert not is_nudge(text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Не работает login на https://very.long.example/with/latin/letters", "ru"),
        ("The word «Привет» is not shown", "en"),
        ("Құрметті әріптестер, жүйе жұмыс істемейді", "kk"),
        ("你好，无法登录系统", ""),
        ("123 !!", ""),
    ],
)
def test_the_language_is_told_by_letters(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_long_word_costs_no_time() -> None:
    assert language_of("ы" * 300_000) == "ru"
    assert not is_nudge("ы" * 300_000)
