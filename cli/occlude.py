"""`camx occlude`: what the network loses when what a map points at is hidden."""

from camx.cli import measuring

command = measuring.command("occlude")
