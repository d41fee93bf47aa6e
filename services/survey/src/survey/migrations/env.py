"""Run by `python -m survey migrate`."""

from chassis.schema import run_migrations
from survey.store import metadata

run_migrations(metadata)
