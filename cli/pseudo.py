"""`camx pseudo`: segmentation labels from class activation maps, and how good they are."""

from camx.cli import measuring

command = measuring.command("pseudo")
