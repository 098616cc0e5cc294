"""The demonstration, again and again."""
