"""Fixtures: each listed with its mark, and the README's table of supported devices made from them."""

import yaml

from agents.recorders.registry import DRIVERS
from support.fixture_table import FIXTURES, README, refreshed

FOLDERS = [path for path in FIXTURES.iterdir() if path.is_dir()]


def test_every_fixture_is_listed_with_its_mark() -> None:
    for folder in FOLDERS:
        listed = yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))
        assert set(listed) == {path.name for path in folder.iterdir()} - {"manifest.yaml"}
        assert {entry["mark"] for entry in listed.values()} <= {"captured", "documented"}


def test_only_a_folder_of_one_device_holds_captured_replies() -> None:
    """MAKE for what descriptions say, MAKE_MODEL_FIRMWARE for a device."""
    for folder in FOLDERS:
        listed = yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))
        mark = "captured" if folder.name.count("_") >= 2 else "documented"
        assert {entry["mark"] for entry in listed.values()} == {mark}
        assert folder.name.partition("_")[0] in DRIVERS


def test_the_table_of_supported_devices_is_fresh() -> None:
    """If not: python tests/support/fixture_table.py."""
    text = README.read_text(encoding="utf-8")
    assert text == refreshed(text)
