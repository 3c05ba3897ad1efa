"""`camx defects`: how well maps mark defects, by a classifier of good and defective pictures."""

from camx.cli import measuring

command = measuring.command("defects")
