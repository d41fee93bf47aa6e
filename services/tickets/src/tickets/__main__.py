"""`python -m tickets`."""

from tickets.main import main

main()
