from chassis.schema import run_migrations
from libs.chassis.tests.probe import effect

run_migrations(effect.metadata)
