"""The command `cradlewatch regulation`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from monitor.model.inventory import Room
from monitor.model.regulation import Regulation
from monitor.regulations import load, load_all
from monitor.regulations.cli import app
from monitor.regulations.columns import width
from monitor.regulations.show import ROOMS_ZH
from support.pack_text import PACK


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"LC_ALL": "C", "COLUMNS": "100", **environment})


def test_list_names_every_pack() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")] == [
        "pack", *(pack.id for pack in load_all()),
    ]  # fmt: skip


def test_list_as_json() -> None:
    items = json.loads(run("list", "--json").stdout)
    assert {item["id"]: item["requirements"] for item in items} == {
        pack.id: [requirement.kind for requirement in pack.requirements.all()] for pack in load_all()
    }
    assert set(items[0]["title"]) == {"zh", "en"}


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (("--lang", "zh"), {}, "规则包"),
        (("--lang", "en"), {"LC_ALL": "zh_CN.UTF-8"}, "pack"),
        ((), {"LC_ALL": "zh_CN.UTF-8"}, "规则包"),
        ((), {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.GB18030"}, "规则包"),
        ((), {"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, "pack"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_terminals(
    arguments: tuple[str, ...], environment: dict[str, str], expected: str
) -> None:
    assert run("list", *arguments, **environment).stdout.split()[0] == expected


def test_show_tells_clause_strength_status_and_numbers() -> None:
    text = run("show", "cn-nursery-wujiang-2021", "--lang", "en").stdout
    for part in (
        "Article 32", "[normative document; read in a secondary source]", "[law; read in the primary text]",
        "[normative document; not verified]", "[internal]", "required_days   90", "deadlines.repair", "outdoor_play",
        "in force from 2025-04-01",
    ):  # fmt: skip
        assert part in " ".join(text.split("\n")) or part in text, part


def test_show_in_chinese_has_no_english_but_keys() -> None:
    text = run("show", "cn-nursery-wujiang-2021", "--lang", "zh").stdout
    for part in (
        "必须覆盖",
        "出入口、活动室、睡眠区、就餐区、室外活动场地",
        "规范性文件; 据二手资料",
        "依据文件",
        "未核实",
    ):
        assert part in text
    assert "normative" not in text


@pytest.mark.parametrize("pack_id", [pack.id for pack in load_all()])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_page_keeps_to_the_terminal(pack_id: str, language: str, columns: str) -> None:
    lines = run("show", pack_id, "--lang", language, COLUMNS=columns).stdout.splitlines()
    assert len(lines) > 50
    wide = [line for line in lines if width(line) > min(int(columns), 120) and "://" not in line]
    # A key that is longer than a narrow terminal isn't broken: people search for it.
    assert [line for line in wide if width(line) > 56] == []


@pytest.mark.parametrize("pack_id", [pack.id for pack in load_all()])
def test_show_as_json_is_the_pack(pack_id: str) -> None:
    assert Regulation.model_validate_json(run("show", pack_id, "--json").stdout) == load(pack_id)


def test_an_unknown_id_is_one_sentence_on_standard_error() -> None:
    result = run("show", "nowhere")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.endswith(
        "config/regulations: there is no regulation pack 'nowhere'; there are"
        " cn-nursery-wujiang-2021, demo-nursery, kr-daycare-60, sg-preschool-30, us-md-comar-90\n"
    )


def test_a_further_directory(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PACK, encoding="utf-8")
    assert run("show", "x", "--directory", str(tmp_path)).stdout.startswith("Test\n")
    assert "\nx  " in run("list", "-d", str(tmp_path)).stdout


def test_list_with_a_broken_pack_fails(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PACK.replace("6h", "6"), encoding="utf-8")
    result = run("list", "-d", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "x.yaml:25: requirements.retention.confirm_after: 6 is no duration" in result.stderr


def test_validate_checks_the_installed_packs() -> None:
    result = run("validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == len(load_all())


def test_validate_names_file_line_and_key_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(PACK, encoding="utf-8")
    Path("draft.yaml").write_text(PACK.replace("required_days: 90", "required_days: 0"), encoding="utf-8")
    result = run("validate", "draft.yaml", "x.yaml", "nowhere.yaml")
    assert result.exit_code == 2
    assert result.stdout == "x.yaml: ok (x, version 1, 3 requirements)\n"
    assert result.stderr.splitlines() == [
        "draft.yaml:24: requirements.retention.required_days: 0 is out of range; it must be at least 1",
        "nowhere.yaml: there is no such file",
    ]


def test_validate_takes_directories(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PACK, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert run("validate", str(tmp_path)).exit_code == 0
    result = run("validate", str(tmp_path / "empty"))
    assert result.exit_code == 2
    assert result.stderr.endswith("empty: there is no pack (*.yaml) in this directory\n")


def test_every_room_has_a_chinese_name() -> None:
    assert set(ROOMS_ZH) == set(Room)
