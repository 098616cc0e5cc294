"""A whole district on this machine, with no camera: the demonstration, and what was planted in it."""
