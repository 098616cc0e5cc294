"""What the centre does: use cases, each a function."""
