"""Which errors of the database pass by themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError

from chassis import telemetry
from chassis.errors import Unavailable

# The driver tells a statement that was never answered as TimeoutError.
_DRIVERS = (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# PostgreSQL error classes that mean "later": connection, resources, operator, system, locks, deadlock.
_PASSING_STATES = ("08", "53", "57", "58", "25P03", "40001", "40P01", "55P03")

# A server that went in the middle of an exchange makes the driver lose its place, a migration its plans.
_DRIVER_LOST = {asyncpg.InternalClientError, asyncpg.InvalidCachedStatementError}


@contextmanager
def passing_told(*more: type[Exception]) -> Iterator[None]:
    """Tell errors that pass as Unavailable; others go on as they are, without what customers wrote."""
    try:
        yield
    except (DBAPIError, *_DRIVERS, *more) as error:
        telemetry.hide_row(error)
        if not passing(error):
            raise
        telemetry.logger(__name__).warning("database away", error=f"{type(error).__name__}: {error}"[:300])
        raise Unavailable("the database does not answer, try again", reason="DATABASE_UNAVAILABLE") from error


def passing(error: BaseException | None) -> bool:
    """Tell whether the same statement may work later: the server is away, full, or a lock is held."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, InterfaceError) or passing(error.orig)
    if {type(error), type(error and error.__cause__)} & _DRIVER_LOST:
        return True
    if isinstance(error, (asyncpg.InterfaceError, OSError)):
        # A value that the driver cannot send is an error of ours.
        return not isinstance(error, ValueError)
    return str(getattr(error, "sqlstate", None) or "").startswith(_PASSING_STATES)
