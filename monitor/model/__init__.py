"""What the project talks about, as values: no I/O, no clock of its own, no database."""
