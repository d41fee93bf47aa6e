"""Words of customers that escalate: compared by their stems, so that every form of a word counts.

Linear in the length of the text, whatever it is: each word is looked at once for each length of a phrase.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from Stemmer import Stemmer

Stems = tuple[str, ...]
_LETTERS = re.compile(r"[^\W\d_]+")
_LOOKED_AT = 65_536
"""Characters from the beginning; people who threaten do not hide it behind a long log."""
_LONGEST_WORD = 40
# Their own caches would keep what strangers wrote; stemming takes two microseconds.
_RUSSIAN, _ENGLISH = Stemmer("russian", 0), Stemmer("english", 0)


@dataclass(frozen=True, slots=True)
class Keywords:
    """One rule: phrases, and words that never count though their stem would."""

    key: str
    phrases: tuple[str, ...]
    except_: tuple[str, ...] = ()
    target: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that a text fits, and the first words of the text that it fits by."""

    rule: Keywords
    words: str


@dataclass(slots=True)
class Matcher:
    """Rules made ready for many texts."""

    rules: Sequence[Keywords]
    _by_length: dict[int, dict[Stems, list[int]]] = field(default_factory=dict, init=False)
    _initials: set[str] = field(default_factory=set, init=False)
    _first: set[str] = field(default_factory=set, init=False)
    _except: list[frozenset[str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Sort the phrases by length and stems."""
        for index, rule in enumerate(self.rules):
            self._except.append(frozenset(word for each in rule.except_ for word in words(each)))
            for phrase in rule.phrases:
                stems = tuple(stem(word) for word in words(phrase))
                if stems:
                    self._by_length.setdefault(len(stems), {}).setdefault(stems, []).append(index)
                    self._initials.update(each[0] for each in stems)
                    self._first.add(stems[0])

    def matches(self, text: str) -> list[Match]:
        """The rules that a text fits, in their order."""
        spoken = words(unquoted(text))
        # A stem begins with the letter of its word, so most words need none.
        known = {word: stem(word) for word in set(spoken) if word[0] in self._initials}
        if self._first.isdisjoint(known.values()):
            return []
        found: dict[int, str] = {}
        stems = [known.get(word, "") for word in spoken]
        for length, phrases in self._by_length.items():
            for index, said in _fitting(phrases, stems, spoken, length):
                if index not in found and not self._except[index] & set(said):
                    found[index] = " ".join(said)
        return [Match(self.rules[index], found[index]) for index in sorted(found)]


def words(text: str) -> list[str]:
    """The words of a text in small letters, without what is no letter; yo is written as ye."""
    spoken = _LETTERS.findall(text[:_LOOKED_AT].lower().replace("ё", "е"))
    return [word for word in spoken if len(word) <= _LONGEST_WORD]


def stem(word: str) -> str:
    """What the forms of a word have in common: of Cyrillic words by Russian, of others by English rules."""
    return str((_RUSSIAN if "а" <= word[0] <= "я" else _ENGLISH).stemWord(word))


def unquoted(text: str) -> str:
    """The text without lines that quote another one."""
    return "\n".join(line for line in text[:_LOOKED_AT].splitlines() if not line.lstrip().startswith(">"))


def faults(rules: Iterable[Keywords]) -> Iterator[tuple[str, str]]:
    """What is wrong with rules of a setup: a path such as `rules[0].phrases[1]`, and what is wanted."""
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.key in seen:
            yield f"rules[{index}].key", f"{rule.key} is the key of another rule too"
        seen.add(rule.key)
        for position, phrase in enumerate(rule.phrases):
            if not words(phrase):
                yield f"rules[{index}].phrases[{position}]", "must have a word in it"


def _fitting(
    phrases: dict[Stems, list[int]], stems: list[str], spoken: list[str], length: int
) -> Iterator[tuple[int, list[str]]]:
    for start, first in enumerate(stems):
        for index in phrases.get(tuple(stems[start : start + length]), ()) if first else ():
            yield index, spoken[start : start + length]


LEGAL = Keywords(
    "legal",
    phrases=(
        "суд",
        "судебный",
        "иск",
        "исковое заявление",
        "прокуратура",
        "роспотребнадзор",
        "court",
        "lawsuit",
        "legal action",
        "sue you",
    ),
    # "Judging by the log" and "judge for yourself" have the stem of the court.
    except_=("судя", "судить", "судите", "судим"),
)
UNHAPPY = Keywords(
    "unhappy",
    phrases=(
        "жалоба",
        "пожаловаться",
        "жаловаться",
        "уйду",
        "complaint",
        "I'll leave",
        "I will leave",
        "we'll leave",
        "we will leave",
    ),
)
