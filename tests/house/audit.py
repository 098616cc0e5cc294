"""`make audit`: writes the list of what is locked (CycloneDX), holds it against the locks, and asks for known weaknesses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SBOM = ROOT / "dist" / "cradlewatch.cdx.json"
PRODUCT = "requirements/all.txt"
"""What runs at a site and at a centre; the other locks are the house's own tools."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Part = tuple[str, str, frozenset[str]]
"""(name, version, SHA-256 of each of its files)."""


def locked(text: str) -> set[Part]:
    """Return what a lock pins."""
    entries = text.replace("\\\n", " ").splitlines()
    pins = [(pin, entry) for entry in entries if (pin := _PIN.match(entry)) is not None]
    return {(pin[1], pin[2], frozenset(_HASH.findall(entry))) for pin, entry in pins}


def listed(sbom: dict[str, Any]) -> set[Part]:
    """Return what a CycloneDX document names beside the project itself."""
    return {(item["name"], item["version"], frozenset(_hashes(item))) for item in sbom.get("components", [])}


def _hashes(component: dict[str, Any]) -> Iterator[str]:
    for reference in component.get("externalReferences", []):
        yield from (item["content"] for item in reference.get("hashes", []) if item["alg"] == "SHA-256")


def differences(sbom: dict[str, Any], lock: str) -> list[str]:
    """Say where the list is not exactly what the lock pins."""
    pins, names = locked(lock), listed(sbom)
    problems = [f"{name} {version} is locked, and not listed so" for name, version, _ in sorted(pins - names, key=repr)]
    problems += [
        f"{name} {version} is listed, and not locked so" for name, version, _ in sorted(names - pins, key=repr)
    ]
    if not pins:
        problems.append("the lock pins nothing")
    return problems


def _write_sbom() -> list[str]:
    SBOM.parent.mkdir(exist_ok=True)
    program = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--pyproject", "pyproject.toml", "--mc-type", "application", "--output-reproducible"]
    command = [program, "requirements", PRODUCT, *options, "--of", "JSON", "--output-file", SBOM]
    subprocess.run([sys.executable, "-W", "ignore", *map(str, command)], cwd=ROOT, check=True)
    return differences(json.loads(SBOM.read_text(encoding="utf-8")), (ROOT / PRODUCT).read_text(encoding="utf-8"))


def _ask() -> int:
    """Ask for known weaknesses; a part that can't be asked for fails it: unknown is no pass."""
    program = Path(sys.executable).with_name("pip-audit")
    locks = [word for path in sorted((ROOT / "requirements").glob("*.txt")) for word in ("--requirement", str(path))]
    # Without pip: the locks name everything, nothing is resolved or installed.
    options = ["--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    return subprocess.run([str(program), *options, *locks], cwd=ROOT, check=False).returncode


def main() -> int:
    """Return the exit status: 0 nothing known, 1 a weakness, a part that could not be asked for, or a wrong list."""
    problems = _write_sbom()
    for text in problems:
        print(f"audit: {SBOM.relative_to(ROOT)}: {text}", file=sys.stderr)
    print(f"audit: {SBOM.relative_to(ROOT)} lists {len(locked((ROOT / PRODUCT).read_text(encoding='utf-8')))} packages")
    status = _ask()
    if status:
        print(
            "audit: a weakness is known, or the database of weaknesses could not be asked: see above", file=sys.stderr
        )
    return 1 if problems or status else 0


if __name__ == "__main__":
    sys.exit(main())
