"""`python -m intake [serve|migrate]`."""

from intake.main import main

main()
