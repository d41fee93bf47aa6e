"""`python -m notifier [serve|migrate]`."""

from notifier.main import main

main()
