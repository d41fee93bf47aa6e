"""Run by `python -m notifier migrate`."""

from chassis.schema import run_migrations
from notifier.store.tables import metadata

run_migrations(metadata)
