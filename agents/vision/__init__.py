"""From picture planes to numbers, and from numbers to what a camera shows: pure functions."""
