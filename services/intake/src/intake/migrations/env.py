"""Run by `python -m intake migrate`."""

from chassis.db import run_migrations
from intake.store import metadata

run_migrations(metadata)
