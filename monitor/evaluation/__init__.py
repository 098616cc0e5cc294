"""From facts to verdicts: pure functions, one file per kind of requirement."""
