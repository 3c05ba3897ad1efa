"""``python -m camx`` is the command ``camx``."""

from camx.cli.main import main

main()
