"""How often the picture diagnosis is wrong: camera days made from seeds, encoded for real, judged by events."""
