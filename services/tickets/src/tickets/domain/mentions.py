"""People and teams that a note calls: `@anna`, `@team:billing`."""

import re
from dataclasses import dataclass, field

MAX_MENTIONS = 50
_MENTION = re.compile(r"(?<![\w@./`])@(team:)?([A-Za-z0-9][A-Za-z0-9._-]{0,99})")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Team:
    """People who are called together; with an address of its own the team is told there."""

    key: str
    name: str
    members: list[str] = field(default_factory=list)
    email: str = ""
    version: int = 1


def mentioned(text: str) -> tuple[list[str], list[str]]:
    """Ids of agents and keys of teams that a note calls, each once; what stands between backticks is code."""
    people: dict[str, None] = {}
    teams: dict[str, None] = {}
    for team, name in _MENTION.findall(_CODE.sub(" ", text)):
        # A name may hold dots, but one at its end belongs to the sentence.
        (teams if team else people)[name.rstrip("._-").lower()] = None
    return list(people), list(teams)
