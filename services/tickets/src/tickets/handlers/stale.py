"""Refusing a write that saw an older version, with what is there now."""

from chassis.errors import Stale
from tickdesk.tickets.v1.stale_pb2 import PresentState

_FITS = 4000
"""Bytes of the detail: it travels in trailers, in base64 and beside the message, and clients take 8 KiB."""


def stale(what: str, present: PresentState) -> Stale:
    """The refusal; a resource that is too large even in short is left out of it."""
    if present.ByteSize() > _FITS:
        present.ClearField("resource")
    return Stale(
        f"{what} has changed: read version {present.version} and decide again",
        reason="STALE_VERSION",
        metadata={"version": str(present.version)},
        present=present,
    )
