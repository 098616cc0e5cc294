"""Shows what the monitor knows: pages and charts, and the command that puts the collector together."""
