from chassis.db import run_migrations
from libs.chassis.tests.probe import effect

run_migrations(effect.metadata)
