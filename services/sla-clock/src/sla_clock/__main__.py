"""`python -m sla_clock [serve|migrate]`."""

from sla_clock.main import main

main()
