"""`python -m survey [serve|migrate]`."""

from survey.main import main

main()
