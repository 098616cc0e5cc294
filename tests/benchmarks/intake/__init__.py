"""Reports put into the outbox and taken in by the collector, each beside the bare disk or database."""
