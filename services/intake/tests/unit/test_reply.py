"""What the sender wrote, out of what their mail program sent."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake.reading.reply import own_text

OWN = "Да, всё равно не работает."
QUOTED = "> Проверьте ещё раз, пожалуйста.\n>\n> Служба поддержки"
PLAIN = "Проверьте ещё раз, пожалуйста.\n\nСлужба поддержки"

INTRODUCTIONS = {
    "gmail en": "On Thu, Nov 19, 2026 at 2:07 PM Support Desk <support@desk.test> wrote:",
    "gmail en wrapped": "On Thu, Nov 19, 2026 at 2:07 PM Support of Long Name <\nsupport@desk.test> wrote:",
    "gmail ru": "чт, 19 нояб. 2026 г. в 14:07, Поддержка <support@desk.test>:",
    "gmail ru wrapped": "чт, 19 нояб. 2026 г. в 14:07, Поддержка с длинным именем <\nsupport@desk.test>:",
    "apple en": "On 19 Nov 2026, at 14:07, Support <support@desk.test> wrote:",
    "apple ru": "19 нояб. 2026 г., в 14:07, Поддержка <support@desk.test> написал(а):",
    "thunderbird ru": "19.11.2026 14:07, Поддержка пишет:",
    "thunderbird en": "On 11/19/26 14:07, Support wrote:",
    "yandex": '19.11.2026, 14:07, "Поддержка" <support@desk.test>:',
    "mail.ru": "Четверг, 19 ноября 2026, 14:07 +03:00 от Поддержка <support@desk.test>:",
    "roundcube": "Поддержка писал(а) 2026-11-19 14:07:",
    "rambler": "19.11.2026, в 14:07, support@desk.test написал:",
    "kazakh": "2026 ж. 19 қар. 14:07, Қолдау <support@desk.test> жазды:",
    "intl": "2026-11-19 14:07 GMT+03:00 Support <support@desk.test>:",
    "quoted name": '"Support Desk" <support@desk.test> wrote on 19.11.2026 14:07:',
}
BLOCKS = {
    "outlook en": "From: Support <support@desk.test>\nSent: Thursday, November 19, 2026 2:07 PM\n"
    "To: Ann <ann@client.test>\nSubject: Printer",
    "outlook ru": "От: Поддержка <support@desk.test>\nОтправлено: 19 ноября 2026 г. 14:07\n"
    "Кому: Анна <ann@client.test>\nТема: Принтер",
    "outlook bold": "*From:* Support <s@desk.test>\n*Sent:* Thursday\n*To:* Ann\n*Subject:* Printer",
    "outlook rule": "______________________\nFrom: Support\nSent: Thursday\nTo: Ann\nSubject: Printer",
    "outlook original": "-----Original Message-----\nFrom: Support\nSent: Thursday\nTo: Ann\nSubject: X",
    "original ru": "-----Исходное сообщение-----\nОт: Поддержка\nОтправлено: вчера\nКому: Анна\nТема: Х",
    "wrapped to": "From: Support\nSent: Thursday\nTo: Ann; Bob;\n Carl; Dora\nCc: Eve\nSubject: Printer",
    "date first": "Дата: 19.11.2026 14:07\nОт кого: Поддержка <support@desk.test>\nКому: Анна\nТема: Принтер",
    "dashes": "------- Исходное сообщение -------\nОт: support@desk.test\nДата: 19.11.2026\nТема: Принтер",
}
DEVICES = [
    "Sent from my iPhone",
    "Sent from my Galaxy S24",
    "Get Outlook for iOS<https://aka.ms/o0ukef>",
    "Отправлено с iPhone",
    "Отправлено с моего iPhone",
    "Отправлено из мобильной Почты Mail",
    "Отправлено из Яндекс.Почты для мобильных",
    "Отправлено с устройства Samsung",
    "Менің iPhone құрылғымнан жіберілді",
]


@pytest.mark.parametrize("intro", INTRODUCTIONS.values(), ids=INTRODUCTIONS)
@pytest.mark.parametrize("quote", [QUOTED, PLAIN], ids=["marked", "unmarked"])
def test_an_introduced_quote_below_is_left_out(intro: str, quote: str) -> None:
    assert own_text(f"{OWN}\n\n{intro}\n\n{quote}\n", keep_forwarded=False) == OWN


@pytest.mark.parametrize("intro", INTRODUCTIONS.values(), ids=INTRODUCTIONS)
def test_an_answer_below_the_quote_is_kept(intro: str) -> None:
    assert own_text(f"{intro}\n{QUOTED}\n\n{OWN}\n", keep_forwarded=False) == OWN


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_history_below_a_block_of_headers_is_left_out(block: str) -> None:
    assert own_text(f"{OWN}\n\n{block}\n\n{PLAIN}\n", keep_forwarded=False) == OWN


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_what_is_passed_on_is_kept(block: str) -> None:
    text = own_text(f"См. ниже.\n\n{block}\n\n{PLAIN}\n", keep_forwarded=True)
    assert text.startswith("См. ниже.\n\n")
    assert "Проверьте ещё раз" in text


@pytest.mark.parametrize(
    "banner",
    [
        "---------- Forwarded message ---------",
        "-------- Пересылаемое сообщение --------",
        "Begin forwarded message:",
        "Начало переадресованного сообщения:",
    ],
)
def test_a_banner_of_forwarding_is_enough_to_keep_what_follows(banner: str) -> None:
    text = f"Прошу разобраться.\n\n{banner}\nОт: Банк <b@bank.test>\nТема: Отказ\n\nПлатёж отклонён."
    assert own_text(text, keep_forwarded=False) == text


def test_answers_between_quotes_are_kept_in_order() -> None:
    text = (
        "On 19 Nov 2026, at 14:07, X <x@y.z> wrote:\n> Which version?\n7.2\n\n> Which phone?\n\niPhone 14\n"
    )
    assert own_text(text, keep_forwarded=False) == "7.2\n\niPhone 14"


@pytest.mark.parametrize("device", DEVICES)
def test_the_signature_of_a_device_is_left_out(device: str) -> None:
    assert own_text(f"{OWN}\n\n{device}\n", keep_forwarded=False) == OWN


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nАнна Петрова\nООО «Ромашка»\n+7 000 000-00-00",
        "--\nAnn",
        "С уважением,\nАнна Петрова\nглавный бухгалтер\nтел. +7 000 000-00-00",
        "Best regards,\n\nAnn Smith | Director\nwww.client.test",
        "Құрметпен, Айгүл",
    ],
)
def test_a_signature_is_left_out(signature: str) -> None:
    assert own_text(f"{OWN}\n\n{signature}\n", keep_forwarded=False) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "On Monday it worked. On Tuesday I saw this:\nerror 500",
        "The form has these fields:\nFrom: where\nTo: whom\nand neither works.",
        "Есть два варианта:\n- первый\n- второй\n\nКакой выбрать?",
        "Sent from my desk, is much easier than my phone.",
        "I ran:\n\n>>> print(1)\n1",
        "С уважением отношусь к вашему труду, но сервис не работает третий день и ответа нет.\nЧто делать?",
        "a -- b is not a signature",
        "Отправлено письмо в банк, ответа нет. Что делать дальше?",
        "Тема: оплата\nНе проходит карта.",
        "Best\nregards to the team, but the bug is there. See the log of the other server, please:\nE1",
    ],
)
def test_words_that_only_look_like_history_or_signature_stay(text: str) -> None:
    assert own_text(text, keep_forwarded=False) == text


@pytest.mark.parametrize("text", [QUOTED, "С уважением,\nАнна", "Sent from my iPhone", ""])
def test_nothing_is_lost_when_nothing_else_would_be_left(text: str) -> None:
    assert own_text(text, keep_forwarded=False) == text


PIECES = st.sampled_from(
    [
        *(
            "\n",
            "> ",
            ">",
            "On ",
            "wrote:",
            "12:00",
            "2026",
            "x@y.z",
            "<",
            ">",
            ":",
            "From: ",
            "Sent: ",
            "To: ",
        ),
        *(
            "Subject: ",
            "От: ",
            "Кому: ",
            "Тема: ",
            "-- \n",
            "---",
            "____",
            "Original Message",
            "Sent from my ",
        ),
        *(
            "С уважением",
            "а",
            " ",
            "\t",
            "\u2028",
            "написал(а):",
            "Forwarded message",
            "*",
            "\r",
            "выше этой линии",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join), st.booleans())
def test_any_text_gives_words_of_its_own_and_keeps_some(text: str, keep: bool) -> None:
    trimmed = own_text(text, keep_forwarded=keep)
    assert set(trimmed) <= set(text) | {"\n"}
    assert bool(trimmed.strip()) == bool(text.strip())


@settings(max_examples=40, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=4).map("".join))
def test_repeating_anything_takes_linear_time(piece: str) -> None:
    """Faults 5: peers hang for 20 s on 15 KB of such texts; the bound is far above a slow machine."""
    text = (piece * 100_000)[:100_000]
    began = time.process_time()
    own_text(text, keep_forwarded=False)
    assert time.process_time() - began < 5
