"""What the centre keeps: tables, and the only files with queries."""
