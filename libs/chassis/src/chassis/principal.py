"""Who asks for the work at hand: set by the gRPC server and by the consumers."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: its full name (`agent:anna`) and its role, the part before the colon."""

    name: str
    role: str

    @classmethod
    def of(cls, name: str) -> "Principal":
        """Build a principal out of its full name."""
        return cls(name, name.partition(":")[0])


current: ContextVar[Principal] = ContextVar("principal")
asked: ContextVar[str] = ContextVar("asked", default="")
"""For what: the full name of the method that was called or of the event that was heard."""


def principal() -> Principal:
    """Return who calls. Raises LookupError outside of a call or an event."""
    return current.get()
