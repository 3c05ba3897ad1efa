"""The command line. Only here is Click known; nothing at start-up imports torch."""
