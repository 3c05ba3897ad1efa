"""What camx costs on this machine: seconds of things that alternate in one process."""
