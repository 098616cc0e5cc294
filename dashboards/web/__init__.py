"""The pages: what the monitor knows, shown to an institution, an inspector and an operator."""
