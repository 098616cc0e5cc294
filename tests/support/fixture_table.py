"""The table of supported devices in the drivers' README, made from the fixtures' manifests: `python tests/support/fixture_table.py`."""

from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "recorders"
README = ROOT / "agents" / "recorders" / "README.md"
BEGIN, END = "<!-- fixtures: begin -->\n", "<!-- fixtures: end -->\n"


def table() -> str:
    """Return one row for each make: devices whose replies were captured, and how many replies were only described."""
    captured: dict[str, list[str]] = {}
    described: Counter[str] = Counter()
    for manifest in sorted(FIXTURES.glob("*/manifest.yaml")):
        make, _, device = manifest.parent.name.partition("_")
        marks = [entry["mark"] for entry in yaml.safe_load(manifest.read_text(encoding="utf-8")).values()]
        captured.setdefault(make, [])
        if "captured" in marks:
            captured[make].append(device.replace("_", " "))
        described[make] += marks.count("documented")
    rows = [
        f"| `{make}` | {', '.join(devices) or 'none yet'} | {described[make]} |" for make, devices in captured.items()
    ]
    head = [
        "| driver | supported devices: their replies were captured | replies written from descriptions |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def refreshed(text: str) -> str:
    """Return the README with the table as it must be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text(encoding="utf-8")), encoding="utf-8")
