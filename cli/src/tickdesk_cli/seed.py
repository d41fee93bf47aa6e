"""The first queues and people of a desk, out of a YAML file."""

import uuid
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tickdesk.common.v1.common_pb2 import Line, Priority
from tickdesk.tickets.v1.ticket_pb2 import Agent, Queue
from tickdesk.tickets.v1.tickets_service_pb2 import ListQueuesRequest, PutAgentRequest, PutQueueRequest
from tickdesk_cli.client import SECONDS, Client
from tickdesk_cli.terminal import bad_input

LineName = Literal["L1", "L2", "L3"]
_SPACE = uuid.UUID("5f0d3f6e-5b1c-4b53-9f5f-0d8f6a1f2c77")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QueueSeed(_Strict):
    """A queue as the file says it."""

    key: str = Field(pattern="^[A-Z][A-Z0-9]{1,9}$")
    name: str = Field(min_length=1)
    addresses: tuple[str, ...] = Field(min_length=1)
    default_priority: Literal["low", "normal", "high", "critical"] = "normal"
    default_language: Literal["ru", "en"] = "en"
    first_line: LineName = "L1"
    last_line: LineName = "L3"
    public_lines: tuple[LineName, ...] = ("L1", "L2")

    def message(self) -> Queue:
        """The queue as the tickets service takes it."""
        return Queue(
            key=self.key,
            name=self.name,
            addresses=self.addresses,
            default_priority=Priority.Value(f"PRIORITY_{self.default_priority.upper()}"),
            default_language=self.default_language,
            first_line=_line(self.first_line),
            last_line=_line(self.last_line),
            public_lines=[_line(each) for each in self.public_lines],
        )


class AgentSeed(_Strict):
    """A person of the desk as the file says it."""

    id: str = Field(pattern="^[a-z][a-z0-9._-]{0,60}$")
    name: str = Field(min_length=1)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    language: Literal["ru", "en"] = "en"
    lines: tuple[LineName, ...] = ()
    queues: tuple[str, ...] = ()
    leads: tuple[LineName, ...] = ()
    management: bool = False

    def message(self) -> Agent:
        """The person as the tickets service takes them."""
        return Agent(
            id=self.id,
            name=self.name,
            email=self.email,
            language=self.language,
            lines=[_line(each) for each in self.lines],
            queues=self.queues,
            leads=[_line(each) for each in self.leads],
            management=self.management,
            active=True,
        )


class Seeds(_Strict):
    """The whole file."""

    queues: tuple[QueueSeed, ...] = Field(min_length=1)
    agents: tuple[AgentSeed, ...] = ()


def read(path: Path) -> Seeds:
    """Read and check the file. Raises Problem (code 2) that names each fault."""
    try:
        content: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return Seeds.model_validate(content)
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
        raise bad_input("\n".join([f"{path}:", *faults]), "examples/desk.yaml shows the shape.") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise bad_input(f"{path}{where}: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise bad_input(f"{path}: {error}") from error
    except OSError as error:
        raise bad_input(f"{path}: {error.strerror}") from error


async def plant(client: Client, seeds: Seeds, *, force: bool = False) -> bool:
    """Create queues and people unless the desk has queues already; returns whether it did."""
    known = await client.tickets.ListQueues(ListQueuesRequest(page_size=1), timeout=SECONDS)
    if known.queues and not force:
        return False
    # The id follows from the content: a second try after a lost answer has no second effect.
    for queue in (each.message() for each in seeds.queues):
        await client.tickets.PutQueue(PutQueueRequest(request_id=_id(queue), queue=queue), timeout=SECONDS)
    for agent in (each.message() for each in seeds.agents):
        await client.tickets.PutAgent(PutAgentRequest(request_id=_id(agent), agent=agent), timeout=SECONDS)
    return True


def _id(message: Queue | Agent) -> str:
    return str(uuid.uuid5(_SPACE, message.SerializeToString(deterministic=True).hex()))


def _line(name: str) -> Line.ValueType:
    return Line.Value(f"LINE_{name}")
