"""Errors every service speaks: a class decides the gRPC code, the reason says which rule was broken."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field of a request: its path (`ticket.subject`) and what would be accepted instead."""

    field: str
    description: str


class DeskError(Exception):
    """An expected failure. `message` is shown to the caller, so it names the field and the remedy.

    `present` is what the caller should have known; it travels in headers, so it must be small.
    """

    code: ClassVar[str] = "INTERNAL"
    default_reason: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        violations: Iterable[Violation] = (),
        metadata: Mapping[str, str] | None = None,
        present: Message | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason or self.code
        self.violations = tuple(violations)
        self.metadata = dict(metadata or {})
        self.present = present


class InvalidInput(DeskError):
    """The request can never be right: a field is missing, too long or of a wrong shape."""

    code = "INVALID_ARGUMENT"
    default_reason = "INVALID_INPUT"


class NotFound(DeskError):
    """Nothing of that id exists, or the caller may not know that it does."""

    code = "NOT_FOUND"


class AlreadyExists(DeskError):
    """Something else already has that id, name or request_id."""

    code = "ALREADY_EXISTS"


class Refused(DeskError):
    """The state does not allow it now; another call must change the state first."""

    code = "FAILED_PRECONDITION"
    default_reason = "REFUSED"


class Stale(DeskError):
    """Somebody else wrote first: read again and repeat."""

    code = "ABORTED"
    default_reason = "STALE"


class Denied(DeskError):
    """The caller is known and may not do this."""

    code = "PERMISSION_DENIED"
    default_reason = "DENIED"


class Unauthenticated(DeskError):
    """The caller is not known: no token, or a token nobody has."""

    code = "UNAUTHENTICATED"


class Unavailable(DeskError):
    """A dependency is away; the same call may work later. Consumers retry it without an end."""

    code = "UNAVAILABLE"


class Exhausted(DeskError):
    """There is no room left for it now, or it would take too much: later, or less of it, may work."""

    code = "RESOURCE_EXHAUSTED"
