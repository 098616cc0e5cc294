"""Cradlewatch at the institution: what is up, what is seen, what is held, and the way to the centre."""
