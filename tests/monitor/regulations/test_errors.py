"""Every way in which a pack can be wrong, and the exact sentence that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.regulations import PackError, Problem, load_file
from monitor.regulations.checks import check
from support.pack_text import PACK
from support.packs import pack

FILE = "config/regulations/x.yaml"
ROOMS = (
    "'entrance', 'corridor', 'play', 'nap', 'dining', 'wash', 'changing', 'toilet', 'nursing', 'kitchen', 'reception',"
    " 'outdoor_play', 'office', 'staff_rest' or 'other'"
)
UNITS = "write a whole number and a unit, such as 90d, 6h, 5m or 30s"


@pytest.fixture
def pack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    return path


def sentences(path: Path, content: str | bytes) -> list[str]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PackError) as caught:
        load_file(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_device_is_no_missing_file() -> None:
    with pytest.raises(PackError, match="/dev/null: is no ordinary file but a device or a pipe; name a file"):
        load_file("/dev/null")


@pytest.mark.parametrize("name", ["longest_outage_in_hours", "longest_outage_out_of_hours"])
def test_an_outage_limit_below_the_grace_could_never_act(name: str) -> None:
    numbers = {"longest_outage_in_hours": "5m", "longest_outage_out_of_hours": "5m", "grace": "5m"}
    assert list(check(pack(uptime=numbers))) == []
    ((key, message),) = check(pack(uptime={**numbers, name: "4m"}))
    assert key == ("requirements", "uptime", name)
    assert message == "4m is shorter than grace, 5m, and could never act; it must not be"


def test_the_pack_that_the_others_break_is_sound(pack_file: Path) -> None:
    pack_file.write_text(PACK, encoding="utf-8")
    assert load_file(pack_file).id == "x"


REPLACED: dict[str, tuple[str, str, list[str]]] = {
    "unknown key, near": (
        "required_days:", "require_days:",
        [
            "21: requirements.retention.required_days: this key is missing",
            "24: requirements.retention.require_days: unknown key; did you mean required_days?",
        ],
    ),
    "unknown key, far": (
        "version: 1", "version: 1\nxyz: 1",
        [("4: xyz: unknown key; known here are schema, id, version, title, jurisdiction, effective_from, effective_to,"
         " rooms, requirements, references")],
    ),
    "unknown key where an anchor stands": (
        "strength: law", "strength: law\n      clauze: a",
        [
            "19: requirements.zone_coverage.citation.clauze: unknown key; did you mean clause?",
            "19: requirements.retention.citation.clauze: unknown key; did you mean clause?",
            "19: requirements.measurability.citation.clauze: unknown key; did you mean clause?",
        ],
    ),
    "unknown requirement": (
        "  measurability:", "  mesurability:", ["26: requirements.mesurability: unknown key; did you mean measurability?"],
    ),
    "missing key": (
        "    required_days: 90\n", "", ["21: requirements.retention.required_days: this key is missing"],
    ),
    "text for a whole number": (
        "required_days: 90", 'required_days: "90"',
        ["24: requirements.retention.required_days: '90' is not a whole number"],
    ),
    "half a day": (
        "required_days: 90", "required_days: 90.5",
        ["24: requirements.retention.required_days: 90.5 is not a whole number"],
    ),
    "true for a number": (
        "required_days: 90", "required_days: true",
        ["24: requirements.retention.required_days: true is not a whole number"],
    ),
    "a list for a number": (
        "required_days: 90", "required_days: [90]",
        ["24: requirements.retention.required_days: a list is not a whole number"],
    ),
    "no value": (
        "required_days: 90", "required_days:",
        ["24: requirements.retention.required_days: has no value"],
    ),
    "a duration without a value": (
        "confirm_after: 6h", "confirm_after:", ["25: requirements.retention.confirm_after: has no value"],
    ),
    "zero days": (
        "required_days: 90", "required_days: 0",
        ["24: requirements.retention.required_days: 0 is out of range; it must be at least 1"],
    ),
    "ratio in per cent": (
        "required_days: 90", "required_days: 90\n    day_held_ratio: 99",
        ["25: requirements.retention.day_held_ratio: 99 is out of range; it must be at most 1"],
    ),
    "ratio as a text": (
        "required_days: 90", "required_days: 90\n    day_held_ratio: 99%",
        ["25: requirements.retention.day_held_ratio: '99%' is not a number"],
    ),
    "not a number": (
        "required_days: 90", "required_days: 90\n    day_held_ratio: .nan",
        ["25: requirements.retention.day_held_ratio: '.nan' is not a number"],
    ),
    "duration in words": (
        "confirm_after: 6h", "confirm_after: 6 hours",
        [f"25: requirements.retention.confirm_after: '6 hours' is no duration; {UNITS}"],
    ),
    "duration without a unit": (
        "confirm_after: 6h", "confirm_after: 6", [f"25: requirements.retention.confirm_after: 6 is no duration; {UNITS}"],
    ),
    "duration of nothing": (
        "    must_offer: [retention]\n",
        "    must_offer: [retention]\n  agent_silence:\n    title: {zh: 离线, en: Silent}\n    citation: *citation\n    silent_after: 0s\n",
        ["34: requirements.agent_silence.silent_after: must be longer than 0s"],
    ),
    "hours of nothing": (
        "max_undetermined_hours: 72", "max_undetermined_hours: 0",
        ["29: requirements.measurability.max_undetermined_hours: 0 is out of range; it must be more than 0"],
    ),
    "hours with a unit": (
        "max_undetermined_hours: 72", "max_undetermined_hours: 72h",
        ["29: requirements.measurability.max_undetermined_hours: '72h' is not a number"],
    ),
    "ratio of nothing": (
        "required_days: 90", "required_days: 90\n    day_held_ratio: 0",
        ["25: requirements.retention.day_held_ratio: must be more than 0, or days without footage would count as held"],
    ),
    "date of another form": (
        "effective_from: 2021-01-01", "effective_from: 01.01.2021",
        ["5: effective_from: '01.01.2021' is not a date; write it as 2021-03-31"],
    ),
    "date that no calendar has": (
        "effective_from: 2021-01-01", "effective_from: 2021-02-30",
        ["5: effective_from: '2021-02-30' is not a date; write it as 2021-03-31"],
    ),
    "year for a date": (
        "effective_from: 2021-01-01", "effective_from: 2021",
        ["5: effective_from: 2021 is not a date; write it as 2021-03-31"],
    ),
    "dates in the wrong order": (
        "effective_from: 2021-01-01", "effective_from: 2021-01-01\neffective_to: 2020-12-31",
        ["6: effective_to: 2020-12-31 lies before effective_from, 2021-01-01"],
    ),
    "dates of a requirement in the wrong order": (
        "required_days: 90", "required_days: 90\n    effective_to: 2020-12-31",
        ["25: requirements.retention.effective_to: 2020-12-31 lies before effective_from, 2021-01-01"],
    ),
    "room twice": (
        "forbidden: []", "forbidden: [play]", ["6: rooms: room play stands in more than one list"],
    ),
    "room missing": (
        "nap, ", "",
        ["6: rooms: room nap stands in no list: required, forbidden, free or district_decides"],
    ),
    "unknown room": (
        "nap, ", "bedroom, ", [f"10: rooms.free[1]: 'bedroom' is not known here; write {ROOMS}"],
    ),
    "room that must exist and isn't required": (
        "must_exist: [play]", "must_exist: [nap]", ["6: rooms: must_exist names nap, which is not required"],
    ),
    "rooms that nothing looks at": (
        "forbidden: []\n  free: [corridor,", "forbidden: [corridor]\n  free: [",
        ["9: rooms.forbidden: names rooms, but requirements.forbidden_zone is missing, so that nothing would look at them"],
    ),
    "a look without rooms": (
        "  retention:\n", "  forbidden_zone:\n    title: {zh: 禁止, en: Forbidden}\n    citation: *citation\n  retention:\n",
        ["21: requirements.forbidden_zone: needs rooms to look at, but rooms.forbidden is empty"],
    ),
    "a room for a list": (
        "must_exist: [play]", "must_exist: play", ["8: rooms.must_exist: 'play' is not a list"],
    ),
    "strength of its own": (
        "strength: law", "strength: strong",
        [
            f"18: requirements.{kind}.citation.strength: 'strong' is not known here; write 'law', 'normative document',"
            " 'local standard', 'recommended' or 'internal'"
            for kind in ("zone_coverage", "retention", "measurability")
        ],
    ),
    "unverified without a note": (
        "    citation: *citation\n    required_days",
        ("    citation: {title: {zh: 法, en: Act}, clause: {zh: 条, en: Art}, strength: law, status: unverified}\n"
        "    required_days"),
        [("23: requirements.retention.citation.note: this key is missing; a binding text that is unverified needs a note that"
         " says what is known of it")],
    ),
    "one language": (
        "title: {zh: 测试, en: Test}", "title: {zh: 测试}", ["4: title.en: this key is missing"],
    ),
    "no language": ("title: {zh: 测试, en: Test}", "title: 测试", ["4: title: '测试' is not a group of keys"]),
    "empty text": ("title: {zh: 测试, en: Test}", 'title: {zh: "", en: Test}', ["4: title.zh: is empty"]),
    "number for a text": (
        "title: {zh: 测试, en: Test}", "title: {zh: 2021, en: Test}", ["4: title.zh: 2021 is not a text; put it into quotes"],
    ),
    "id with a blank": (
        "id: x", "id: x y", ["2: id: 'x y' is no id; use letters, digits, dot, underscore and hyphen, at most 64"],
    ),
    "another schema": (
        "regulation/1", "regulation/2",
        ["1: schema: 'cradlewatch.regulation/2' is not known here; write 'cradlewatch.regulation/1'"],
    ),
    "the model's own name for a key": (
        "schema:", "schema_:", ["1: schema: this key is missing", "1: schema_: unknown key; did you mean schema?"],
    ),
    "unknown requirement to offer": (
        "must_offer: [retention]", "must_offer: [retention, uptime]",
        [("30: requirements.measurability.must_offer[1]: 'uptime' is no requirement of this pack; it has zone_coverage,"
         " retention, measurability")],
    ),
    "nothing proves coverage": (
        "proof: [attested]", "proof: []", ["20: requirements.zone_coverage.proof: is empty"],
    ),
    "unknown proof": (
        "proof: [attested]", "proof: [hearsay]",
        ["20: requirements.zone_coverage.proof[0]: 'hearsay' is not known here; write 'attested', 'planned' or 'camera'"],
    ),
    "duplicate key": (
        "version: 1", "version: 1\nid: y", ["4: id: this key is written twice; it first stands on line 2"],
    ),
    "duplicate key deep inside": (
        "confirm_after: 6h", "confirm_after: 6h\n    required_days: 30",
        ["26: requirements.retention.required_days: this key is written twice; it first stands on line 24"],
    ),
    "a tag": (
        "required_days: 90", "required_days: !!python/object/apply:os.getcwd []",
        [
            "24: requirements.retention.required_days: a list is not a whole number",
            ("24: requirements.retention.required_days: the tag tag:yaml.org,2002:python/object/apply:os.getcwd is not read;"
            " write a plain value"),
        ],
    ),
    "a key that is no word": (
        "version: 1", "version: 1\n? [a, b]\n: 1", ["4: a key must be a plain word"],
    ),
    "half a character": (
        "title: {zh: 测试,", 'title: {zh: "\\ud800",',
        ["4: title.zh: holds a control character or half a character", "4: title.zh: is empty"],
    ),
    "a control character": (
        "title: {zh: 测试,", 'title: {zh: "a\\0",', ["4: title.zh: holds a control character or half a character"],
    ),
    "a due time for no room": (
        "required_days: 90", "required_days: 90\n    due: {rooms: {lobby: always}}",
        [f"25: requirements.retention.due.rooms.lobby: 'lobby' is not known here; write {ROOMS}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), REPLACED.values(), ids=REPLACED)
def test_each_wrong_key_is_named_by_file_line_and_key(pack_file: Path, old: str, new: str, expected: list[str]) -> None:
    assert old in PACK
    assert sorted(sentences(pack_file, PACK.replace(old, new, 1))) == sorted(f"{FILE}:{line}" for line in expected)


WHOLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ":1: is empty; write a pack into it"),
    "only a comment": (b"# nothing\n", ":1: is empty; write a pack into it"),
    "a word": (b"regulation\n", ":1: 'regulation' is not a group of keys"),
    "a list": (b"- 1\n", ":1: a list is not a group of keys"),
    "null": (b"null\n", ":1: has no value"),
    "no requirements": (
        PACK.split("requirements:")[0].encode() + b"requirements: {}\n", ":1: a pack needs at least one requirement",
    ),
    "a bracket left open": (
        b"a: [1, 2\nb: 3\n", ":2: is not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    "a tab": (
        b"a:\n\tb: 1\n",
        ":2: is not YAML: while scanning for the next token, found character '\\t' that cannot start any token",
    ),
    "an alias to nothing": (b"a: *b\n", ":1: is not YAML: found undefined alias 'b'"),
    "two documents": (
        b"a: 1\n---\nb: 1\n",
        ":2: is not YAML: expected a single document in the stream, but found another document",
    ),
    "not UTF-8": (b"a: 1\nb: \xff\n", ":2: is not UTF-8 text; save it as UTF-8"),
    "a zero byte": (b"a: 1\nb: \x00\n", ":2: holds a character that no text has"),
    "a character beyond Unicode": (b'a: "\\UFFFFFFFF"\n', ": is not YAML: an escape or a number in it is out of range"),
    "huge": (b"#" * (256 * 1024 + 1), ": is larger than 256 KiB; a pack is a short text"),
    "deep": (b"[" * 40, ":1: is not YAML: is nested deeper than 32 levels"),
    "deep by aliases": (
        b"- &a0 []\n" + b"".join(b"- &a%d [*a%d]\n" % (i + 1, i) for i in range(60)),
        ": is nested deeper than 32 levels once its aliases (*) are written out",
    ),
    "an alias to itself": (b"a: &a [*a]\n", ": is nested deeper than 32 levels once its aliases (*) are written out"),
    "a billion laughs": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 10)),
        ": holds more than 20000 values once its aliases (*) are written out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), WHOLE.values(), ids=WHOLE)
def test_each_file_that_is_no_pack_says_why(pack_file: Path, content: bytes, expected: str) -> None:
    assert sentences(pack_file, content) == [FILE + expected]


def test_all_problems_are_told_at_once_in_the_order_of_lines(pack_file: Path) -> None:
    broken = PACK.replace("version: 1", "version: one").replace("6h", "6").replace("must_offer", "must_ofer")
    assert [line.split(": ")[1] for line in sentences(pack_file, broken)] == [
        "version", "requirements.retention.confirm_after", "requirements.measurability.must_ofer",
    ]  # fmt: skip


def test_what_is_no_pack_at_all_is_told_in_a_hundred_lines(pack_file: Path) -> None:
    lines = sentences(pack_file, "a: 1\n" * 500)
    assert len(lines) == 101
    assert lines[-1] == f"{FILE}: and 407 further problems"


def test_a_file_that_is_not_there(pack_file: Path) -> None:
    with pytest.raises(PackError) as caught:
        load_file(pack_file)
    assert caught.value.problems == [Problem(FILE, 0, "", "there is no such file")]


def test_a_directory_is_no_file(pack_file: Path) -> None:
    pack_file.mkdir()
    with pytest.raises(PackError, match="is a directory; name the file in it"):
        load_file(pack_file)


def test_yaml_words_of_old_are_texts(pack_file: Path) -> None:
    pack_file.write_text(PACK.replace("en: Test", "en: no"), encoding="utf-8")
    assert load_file(pack_file).title.en == "no"


def test_a_byte_order_mark_is_no_part_of_the_text(pack_file: Path) -> None:
    pack_file.write_bytes(b"\xef\xbb\xbf" + PACK.encode())
    assert load_file(pack_file).id == "x"
