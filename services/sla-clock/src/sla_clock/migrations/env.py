"""Run by `python -m sla_clock migrate`."""

from chassis.db import run_migrations
from sla_clock.store.tables import metadata

run_migrations(metadata)
