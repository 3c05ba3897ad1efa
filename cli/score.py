"""`camx score`: anybody's maps, judged by every measure."""

from camx.cli import measuring

command = measuring.command("score")
