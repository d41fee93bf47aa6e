"""Run by `python -m intake migrate`."""

from chassis.schema import run_migrations
from intake.store import metadata

run_migrations(metadata)
