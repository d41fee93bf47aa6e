"""Tickets in bulk: written by PostgreSQL itself, with distributions as desks have them.

Queues, agents, customers, topics and words are as uneven as life: a few have most. One ticket in twenty of
the last two years is open, nearly all of those are new; each has five messages on average, a few have sixty.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

QUEUES = ("SUP", "PAY", "DEV", "VIP")
AGENTS = 200
_WORDS, _PARAGRAPHS, _WORDS_EACH = 30_000, 20_000, 25
_LETTERS = "бавагодежизукеламонепирасотауфхицочешащенырикопредоверста"
_SYLLABLES = [_LETTERS[place : place + 2] for place in range(0, len(_LETTERS) - 1, 2)]
_PLAIN = ("принтер", "отчёт", "оплата", "заказ", "ошибка", "вход", "пароль", "счёт", "возврат", "доставка")

# Secondary indexes are dropped before and made after: one by one for each row they would take an hour.
_INDEXES = """
select indexdef, format('%I', indexrelid::regclass::text) as name
from pg_indexes join pg_index on indexrelid = format('%I', indexname)::regclass
where schemaname = 'public' and tablename = any($1) and not indisunique
"""
_FILLED = (
    "ticket",
    "message",
    "ticket_text",
    "ticket_clock",
    "customer",
    "contact",
    "word",
    "conversation",
    "ticket_span",
    "ticket_cycle",
    "clock_result",
)

_STEPS = (Path(__file__).parent / "plant.sql").read_text().split(";\n")[:-1]


async def plant(url: str, tickets: int, most: int = 60) -> float:
    """Fill an empty, migrated database, tickets having at most so many messages; seconds it took."""
    began = time.monotonic()
    numbers = {
        "tickets": tickets,
        "customers": max(tickets // 5, 10),
        "agents": AGENTS,
        "most": most,
        "paragraphs": _PARAGRAPHS,
        "queues": "array[" + ", ".join(f"'{each}'" for each in QUEUES) + "]",
    }
    connection = await asyncpg.connect(url)
    try:
        await _write_words(connection)
        indexes = await connection.fetch(_INDEXES, list(_FILLED))
        for index in indexes:
            await connection.execute(f"drop index {index['name']}")
        # The rows refer to each other by construction, and checking that row by row takes most of the time.
        await connection.execute("set session_replication_role = replica")
        for step in _STEPS:
            await connection.execute(_filled(step, numbers))
        await connection.execute("set maintenance_work_mem = '512MB'")
        for index in indexes:
            await connection.execute(index["indexdef"])
        await connection.execute("vacuum (analyze)")
    finally:
        await connection.close()
    return time.monotonic() - began


def word(rank: int) -> str:
    """The word of a rank: the first are the most frequent."""
    if rank < len(_PLAIN):
        return _PLAIN[rank]
    made = ""
    while rank:
        rank, syllable = divmod(rank, len(_SYLLABLES))
        made += _SYLLABLES[syllable]
    return made


def _filled(step: str, numbers: dict[str, object]) -> str:
    # Not str.format: braces are arrays in SQL.
    for name, value in numbers.items():
        step = step.replace("{" + name + "}", str(value))
    return step


async def _write_words(connection: asyncpg.Connection) -> None:
    """The vocabulary, and paragraphs of it: the word of rank n as often as 1/n."""
    await connection.execute(
        "create unlogged table planted_word (n int primary key, word text not null);"
        "create unlogged table planted_paragraph (n int primary key, text text not null, document tsvector)"
    )
    await connection.copy_records_to_table("planted_word", records=((n, word(n)) for n in range(_WORDS)))
    columns = ("n", "text")
    await connection.copy_records_to_table("planted_paragraph", records=_paragraphs(), columns=columns)
    await connection.execute(
        "update planted_paragraph set document = strip(to_tsvector('russian', text));"
        "analyze planted_paragraph"
    )


def _paragraphs() -> Iterator[tuple[int, str]]:
    drawn = random.Random(4)
    words = [word(n) for n in range(_WORDS)]
    weights = [1 / (n + 10) for n in range(_WORDS)]
    sums = list(itertools.accumulate(weights))
    for n in range(_PARAGRAPHS):
        yield n, " ".join(drawn.choices(words, cum_weights=sums, k=_WORDS_EACH))
