"""``python -m unheard`` is the command line."""

from unheard.cli import main

main()
