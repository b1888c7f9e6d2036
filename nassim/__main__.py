"""``python -m nassim`` is ``nassim``."""

from nassim.cli import main

main()
