"""Run by `python -m sla_clock migrate`."""

from chassis.schema import run_migrations
from sla_clock.store.tables import metadata

run_migrations(metadata)
