"""Finding packs by their ids, and whatever bytes come: a Regulation or a PackError, never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.model.regulation import Regulation
from monitor.regulations import PackError, load, load_all, load_file, packs_directory
from support.pack_text import PACK

ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(directory: Path, name: str, text: str = PACK) -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_pack_is_found_by_its_id() -> None:
    assert load("cn-nursery-wujiang-2021").id == "cn-nursery-wujiang-2021"


def test_the_packs_lie_beside_the_installed_package() -> None:
    assert packs_directory().parts[-2:] == ("config", "regulations")


def test_an_extra_directory_adds_packs(tmp_path: Path) -> None:
    write(tmp_path, "x.yaml")
    assert load("x", [tmp_path]).id == "x"
    assert [pack.id for pack in load_all([tmp_path])] == sorted(["x", *(pack.id for pack in load_all())])


@pytest.mark.parametrize("pack_id", ["nowhere", "", ".", "../cn-nursery-wujiang-2021", "x" * 65, "a\0b"])
def test_an_unknown_id_names_those_that_there_are(pack_id: str) -> None:
    with pytest.raises(
        PackError, match=r"there is no regulation pack .*; there are cn-nursery-wujiang-2021, demo-nursery"
    ):
        load(pack_id)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"nowhere: the directory of the packs can't be read: No such file"):
        load("cn-nursery-wujiang-2021", [tmp_path / "nowhere"])


def test_a_file_is_called_by_its_id(tmp_path: Path) -> None:
    write(tmp_path, "y.yaml")
    message = r"y.yaml:2: id: 'x' is not the file's name; call the file x.yaml, or the pack y"
    with pytest.raises(PackError, match=message):
        load("y", [tmp_path])
    with pytest.raises(PackError, match=message):
        load_all([tmp_path])


def test_an_id_names_one_pack(tmp_path: Path) -> None:
    text = (packs_directory() / "kr-daycare-60.yaml").read_text(encoding="utf-8")
    write(tmp_path, "kr-daycare-60.yaml", text)
    message = r"kr-daycare-60 is also the id of .*; give this pack an id of its own"
    with pytest.raises(PackError, match=message):
        load("kr-daycare-60", [tmp_path])
    with pytest.raises(PackError, match=message):
        load_all([tmp_path])


def test_the_same_directory_twice_is_one(tmp_path: Path) -> None:
    write(tmp_path, "x.yml")
    assert load("x", [tmp_path, tmp_path / ".", packs_directory()]).id == "x"


def test_problems_of_all_files_are_told_together(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "1\n")
    write(tmp_path, "b.yaml", "2\n")
    with pytest.raises(PackError) as caught:
        load_all([tmp_path])
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yaml"]


def outcome(path: Path) -> Regulation | PackError:
    try:
        return load_file(path)
    except PackError as error:
        return error


def check(directory: Path, content: bytes) -> None:
    path = directory / "fuzz.yaml"
    path.write_bytes(content)
    result = outcome(path)
    if isinstance(result, Regulation):
        assert Regulation.model_validate_json(result.model_dump_json(by_alias=True)) == result
    else:
        assert result.problems
        assert all(problem.message and problem.line >= 0 for problem in result.problems)
        assert str(result).encode()  # sentences that can be printed


@ANY
@given(st.binary(max_size=400))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    check(tmp_path, content)


@ANY
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`,? \n\t#~.0123456789\\uUx", max_size=60))
@example("? ? ? ?")
@example("%YAML 99999999999.1\n---\na: 1")
@example("%YAML " + "9" * 5000 + ".1\n---\na: 1")
@example("9" * 6000)
@example("a: " + "9" * 6000)
@example('"\\Uffffffff"')
@example("<<: *a")
@example("a: &b {<<: *b}")
@example("&a a: *a")
@example("&a [*a, *a]: 1")
@example("!!binary a")
@example("!<tag:yaml.org,2002:map> x")
@example("a: 1e999")
def test_any_yaml_like_text(tmp_path: Path, content: str) -> None:
    check(tmp_path, content.encode())


@ANY
@given(st.integers(0, len(PACK)), st.integers(0, 40), st.text(max_size=12))
def test_any_slip_in_a_pack(tmp_path: Path, at: int, deleted: int, inserted: str) -> None:
    check(tmp_path, (PACK[:at] + inserted + PACK[at + deleted :]).encode(errors="replace"))
