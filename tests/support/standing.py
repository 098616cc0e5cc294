"""A folder in which somebody else left code under the name of a module."""

from pathlib import Path

import pytest


def plant(folder: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder from which an import of `module` ends the process."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text("raise SystemExit(99)\n", encoding="utf-8")
    monkeypatch.chdir(folder)
