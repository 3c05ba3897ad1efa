"""`camx localize`: weakly supervised localization, one record per image and cell."""

from camx.cli import measuring

command = measuring.command("localize")
