"""The units: systemd's own tool accepts them, and what they start is a command of this version."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agents.init import Answers, CameraAnswer, render, state_dir_for
from agents.site import load_site
from support.parts import require

ROOT = Path(__file__).parents[2]
UNITS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "config" / "units").iterdir())}
INSTALLED = "/opt/cradlewatch/bin/cradlewatch"
HERE = Path(sys.executable).with_name("cradlewatch")


def setting(unit: str, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", UNITS[unit], flags=re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_it(unit: str, tmp_path: Path) -> None:
    require("systemd")
    file = tmp_path / f"{unit}.service"
    file.write_text(UNITS[unit].replace(INSTALLED, str(HERE)), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if unit in line]  # not of the machine's own units
    assert (said, done.stdout) == ([], "")


@pytest.mark.parametrize("unit", UNITS)
def test_what_it_starts_is_a_command_that_wants_its_configuration(unit: str) -> None:
    program, *arguments = shlex.split(setting(unit, "ExecStart"))
    assert program == INSTALLED
    done = subprocess.run([HERE, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert arguments[-1] in done.stderr
    assert "No such option" not in done.stderr


def test_an_agent_set_up_below_etc_keeps_its_state_where_its_service_may_write(tmp_path: Path) -> None:
    answers = Answers(
        institution="wj-0001",
        name="",
        timezone="Asia/Shanghai",
        regulation="cn-nursery-wujiang-2021",
        url="http://192.0.2.10",
        cameras=(CameraAnswer("entrance"),),
    )
    written = tmp_path / "site.yaml"
    written.write_text(render(answers, state_dir_for(Path("/etc/cradlewatch/site.yaml"))), encoding="utf-8")
    assert load_site(written).state_dir == Path("/var/lib") / setting("cradlewatch-agent", "StateDirectory")
    written.write_text(render(answers, state_dir_for(written)), encoding="utf-8")
    assert load_site(written).state_dir == tmp_path / "site.state"
