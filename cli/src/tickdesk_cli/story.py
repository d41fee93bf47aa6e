"""What the people of the demo do, read from `examples/demo.yaml`; the desk does the rest by itself."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML

from tickdesk_cli.terminal import bad_input


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Vip(_Strict):
    """The customer who becomes VIP, by their message."""

    file: str
    priority: Literal["low", "normal", "high", "critical"]


class Reply(_Strict):
    """What an agent writes on the ticket of a message, and what they do with it then."""

    file: str
    agent: str
    text: str
    solved: bool = False
    waits: bool = False


class Confirmation(_Strict):
    """A customer's answer to an agent's letter, and the agent's last words."""

    file: str
    text: str
    agent: str
    thanks: str


class Vote(_Strict):
    """What a customer gives on the page of the survey."""

    file: str
    score: int
    comment: str = ""


class Callback(_Strict):
    """What an agent writes on the ticket that a low score opened."""

    agent: str
    text: str


class Story(_Strict):
    """The whole file."""

    vip: Vip
    answers: tuple[Reply, ...]
    again: tuple[Reply, ...]
    left: tuple[str, ...]
    late: tuple[Reply, ...]
    junk: tuple[str, ...]
    confirms: tuple[Confirmation, ...]
    votes: tuple[Vote, ...]
    callback: Callback


class Expected(BaseModel):
    """What must become of one message of the mailbox."""

    outcome: Literal["created", "joined", "duplicate"]
    of: str = ""
    kind: Literal["person", "auto_reply", "bounce", "list"] = "person"


def read(path: Path) -> Story:
    """Read the story. Raises Problem (code 2) that names the faults."""
    try:
        content: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return Story.model_validate(content)
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise bad_input("\n".join([f"{path}:", *faults])) from error


def expected(mailbox: Path) -> dict[str, Expected]:
    """What must become of each file of the mailbox, in the order of delivery."""
    content = json.loads((mailbox / "expected.json").read_text(encoding="utf-8"))
    return {name: Expected.model_validate(each) for name, each in content.items()}
