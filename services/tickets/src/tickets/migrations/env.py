"""Run by `python -m tickets migrate`."""

from chassis.schema import run_migrations
from tickets.store.tables import metadata

run_migrations(metadata)
