"""What is held: a recorder asked for its index, channels, disks and clock, answers kept as observations."""
