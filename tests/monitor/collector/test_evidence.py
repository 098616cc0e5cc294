"""A bundle of a finding is checked without the database, and whatever is changed in it is told."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine
from typer.testing import CliRunner

from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import ExportError, export_evidence
from monitor.collector.ingest import ingest
from monitor.evidence.bundle import Bundle, BundleError, as_json, write_bundle
from monitor.evidence.check import check_bundle
from monitor.evidence.cli import app
from monitor.model.envelope import Envelope, frame, unframe
from monitor.model.suite import PublicKey
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from support import raw_jws
from support.centre import BOOT, NOW, Centre, declared, index, make_centre, span
from support.packs import pack


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    made.add()
    return made


@pytest.fixture
def bundle(centre: Centre, tmp_path: Path) -> Path:
    centre.see(declared(NOW - 3_600_000))
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    with reading(centre.context.engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]
    assert export_evidence(centre.context, row.id, tmp_path / "b.zip") == 2
    with pytest.raises(ExportError, match="there is no finding"):
        export_evidence(centre.context, "0" * 32, tmp_path / "c.zip")
    with pytest.raises(BundleError, match="is there already"):
        export_evidence(centre.context, row.id, tmp_path / "b.zip")
    return tmp_path / "b.zip"


def changed(bundle: Path, name: str, change: Callable[[bytes], bytes], *, hide: bool = True) -> Path:
    """Write the bundle with one file changed, its digest made right again with `hide`."""
    import hashlib

    with zipfile.ZipFile(bundle) as archive:
        files = {item: archive.read(item) for item in archive.namelist()}
    files[name] = change(files[name])
    listed = json.loads(files["index.json"])
    if hide:
        listed["files"][name] = "sha256:" + hashlib.sha256(files[name]).hexdigest()
    files["index.json"] = as_json(listed)
    target = bundle.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for item, data in files.items():
            archive.writestr(item, data)
    return target


def edit(**changes: object) -> Callable[[bytes], bytes]:
    """Return what changes keys of a JSON file."""
    return lambda data: as_json(json.loads(data) | changes)


def without(key: str) -> Callable[[bytes], bytes]:
    """Return what leaves a key of a JSON file out."""
    return lambda data: as_json({name: value for name, value in json.loads(data).items() if name != key})


def agents(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """Return what changes what is said of the agent."""

    def changed_of(data: bytes) -> bytes:
        value = json.loads(data)
        change(value["box"])
        return as_json(value)

    return changed_of


def test_a_bundle_holds_and_each_change_of_it_is_told(bundle: Path) -> None:
    whole = check_bundle(Bundle(bundle))
    assert (whole.fails, whole.notes, len(whole.holds)) == ([], [], 4)
    assert "retention of camera/gate is short" in whole.holds[-1]
    reports = "reports/box.envelopes"
    for name, change, said in [
        (reports, lambda data: data.replace(b'"state":"read"', b'"state":"nope"'), "the signature is not that"),
        (reports, lambda data: frame(unframe(data)[1:]), "which report 2 of boot"),
        (reports, lambda data: frame(unframe(data)[:1]), "the index says 2 reports, and the file holds 1"),
        (
            "computation.json",
            lambda data: data.replace(b'"held_days": 35', b'"held_days": 34'),
            "come to another verdict",
        ),
        ("regulation.json", lambda data: data.replace(b'"required_days": 90', b'"required_days": 60'), "other figures"),
        ("regulation.json", edit(jurisdiction="x"), "not the regulation by which the reading was made"),
        (reports, lambda data: data[:-5], "can't be taken apart"),
        ("finding.json", edit(began_at="2020-01-01T00:00:00Z"), "began_at is 2020-01-01T00:00:00Z, and"),
        ("finding.json", edit(ended_at="2026-11-23T04:00:00Z"), "ended_at is 2026-11-23T04:00:00Z, and None"),
        ("finding.json", edit(reason="Nothing."), "no reading says its reason"),
        ("finding.json", edit(institution="wj-0002"), "another finding than the one that the index names"),
        ("finding.json", edit(citation={}), "it cites another text"),
        ("computation.json", edit(readings=[]), "none of its readings is there"),
        ("computation.json", without("readings"), "its times and its state can't be checked"),
        ("computation.json", edit(as_of=NOW + 120_001), "as of another instant"),
        ("received/box.json", lambda _: b"[]", "when report 1 of boot"),
        (
            "agents.json",
            agents(lambda box: box.update(missing=1)),
            "1 report said to be missing, and its chain says 0",
        ),
        ("agents.json", agents(lambda box: box["reports"]["misdated"].append([BOOT, 1])), "report 1 of boot"),
        ("agents.json", lambda data: data.replace(b'"crv"', b'"crv "'), None),
    ]:
        target = changed(bundle, name, change)
        try:
            found = check_bundle(Bundle(target)).fails
        except BundleError as error:
            found = [str(error)]
        assert found, name
        assert said is None or any(said in item for item in found), (name, found)
    told = check_bundle(Bundle(changed(bundle, "finding.json", lambda data: data + b" ", hide=False))).fails
    assert told == ["finding.json is not the file that the index names"]


def test_a_reason_or_evidence_that_nothing_comes_to_is_noted(bundle: Path) -> None:
    """Not a failure: another version of this program may say it in other words."""
    for said, lie, note in [
        ("reason", "All recordings are kept.", "computed again the reason reads: "),
        ("evidence", [], "computed again it rests on other evidence"),
    ]:

        def rewrite(data: bytes, said: str = said, lie: object = lie) -> bytes:
            value = json.loads(data)
            for item in (value, value.get("reading", {}), *value.get("readings", ())):
                if said in item:
                    item[said] = lie
            return as_json(value)

        target = changed(changed(bundle, "finding.json", rewrite), "computation.json", rewrite)
        found = check_bundle(Bundle(target))
        assert (found.fails, len(found.notes)) == ([], 1)
        assert found.notes[0].startswith(note)


def forged(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the envelopes, each signed anew by another key under the name of the agent's."""
    found: list[bytes] = []
    for body in unframe(data):
        _, _, payload = body.partition(b"\n")
        header = raw_jws.header_of(body)
        if found:
            before = Envelope.read(found[-1]).place
            header["after"] = before.model_dump(mode="json")
        found.append(raw_jws.envelope(header, payload, key))
    return frame(found)


def test_a_key_under_the_name_of_another_is_not_the_agents(bundle: Path) -> None:
    """Names of keys are what people compare with the collector's: whoever borrows one could sign anything."""
    key = Ed25519PrivateKey.generate()
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": raw_jws.encode(key.public_key().public_bytes_raw()).decode()}

    def exchange(box: Any) -> None:
        for item in box["keys"].values():
            item["jwk"] = jwk

    target = changed(bundle, "reports/box.envelopes", lambda data: forged(data, key))
    found = check_bundle(Bundle(changed(target, "agents.json", agents(exchange))))
    named = PublicKey.of(jwk).id
    assert any(item.endswith(f"is another one, {named}") for item in found.fails), found.fails
    assert not any("signed by the agent's key" in item for item in found.holds)


def test_two_files_of_one_name_are_no_bundle(bundle: Path) -> None:
    """Programs disagree on which of them they show: one would be checked and the other read."""
    with zipfile.ZipFile(bundle, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("finding.json", archive.read("finding.json"))
    with pytest.raises(BundleError, match="two files of one name"):
        Bundle(bundle)


def test_a_report_that_was_put_in_twice_is_named_and_taken_for_no_fork(bundle: Path) -> None:
    """Two that follow the same one are a restored backup or a copy of the box: nobody is to be accused of that by a copy in a file."""
    target = changed(bundle, "reports/box.envelopes", lambda data: data + frame(unframe(data)[1:]))
    twice = changed(target, "agents.json", agents(lambda box: box["reports"].update(count=3)))
    found = check_bundle(Bundle(twice))
    assert found.fails == [f"agent box: report 2 of boot {BOOT} is in the file 2 times"]
    assert not any("fork" in item for item in found.notes)


def test_another_version_of_a_report_that_its_agent_signed_too_is_named(bundle: Path, centre: Centre) -> None:
    """The collector took one of them; who puts the other one in beside it would have both counted."""
    agent = centre.agents["wj-0001"]
    last = Envelope.read(list(agent.sealed.values())[-1])
    other = agent.envelope(last.payload, after=last.protected.after, monotonic_seconds=7.5)
    target = changed(bundle, "reports/box.envelopes", lambda data: data + frame([other]))
    found = check_bundle(Bundle(changed(target, "agents.json", agents(lambda box: box["reports"].update(count=3)))))
    assert found.fails == [f"agent box: report 2 of boot {BOOT} is in the file 2 times"]


@pytest.mark.parametrize("name", ["summary.pdf", "Finding.json", "../../finding.json", "reports/other.envelopes"])
def test_a_file_that_nothing_checks_is_named(bundle: Path, name: str) -> None:
    """Who opens the zip would take it for checked; where names are told apart by letters alone, for the one that was."""
    target = bundle.with_name("more.zip")
    with zipfile.ZipFile(bundle) as archive:
        files = {item: archive.read(item) for item in archive.namelist() if item != "index.json"}
    write_bundle(target, files | {name: b"All is well."}, {"institution": "wj-0001", "finding": "x"})
    assert f"{name} is no part of a bundle: nothing checks what it says" in check_bundle(Bundle(target)).fails


@pytest.mark.parametrize("broken_off_by", [KeyboardInterrupt, OSError])
def test_half_a_bundle_is_never_left(tmp_path: Path, broken_off_by: type[BaseException]) -> None:
    class Stuck(dict[str, bytes]):
        def __getitem__(self, name: str) -> bytes:
            raise broken_off_by

    target = tmp_path / "bundle.zip"
    with pytest.raises((KeyboardInterrupt, BundleError)):
        write_bundle(target, Stuck({"finding.json": b"{}"}), {"institution": "wj-0001", "finding": "x"})
    assert not target.exists()


def test_what_says_one_thing_twice_is_no_bundle(bundle: Path) -> None:
    """Readers disagree on which of both counts: one would be checked and the other shown."""
    target = changed(bundle, "finding.json", lambda data: data.replace(b"{", b'{"state": "ok",', 1))
    with pytest.raises(BundleError, match=r"finding.json is no JSON"):
        check_bundle(Bundle(target))


def expanding(bundle: Path, name: str, blanks: int, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write the bundle with blanks behind one of its files, which are small as long as they are compressed."""
    target = bundle.with_name("expanding.zip")
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(target, "w", method) as larger:
        for item in archive.namelist():
            larger.writestr(item, archive.read(item) + (b" " * blanks if item == name else b""))
    return target


def test_no_more_is_expanded_than_a_file_says_of_its_size(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        size, real = archive.getinfo("finding.json").file_size, 64 << 20
    target = expanding(bundle, "finding.json", real)
    data = bytearray(target.read_bytes())
    entry = data.index(b"finding.json", data.index(b"PK\x01\x02")) - 46
    assert int.from_bytes(data[entry + 24 : entry + 28], "little") == size + real
    data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    target.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"finding.json is missing or damaged"):
            check_bundle(Bundle(target))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < real // 4


def test_what_is_too_long_to_be_read_is_told_before_it_is(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.evidence.bundle.MAX_JSON_BYTES", 100_000)
    assert check_bundle(Bundle(bundle)).fails == []
    with pytest.raises(BundleError, match=r"finding.json is longer than 100000 bytes"):
        check_bundle(Bundle(expanding(bundle, "finding.json", 100_000)))


def test_a_way_of_compressing_whose_size_nobody_can_bound_is_refused(bundle: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(BundleError, match="compressed in another way than by deflate"):
            Bundle(expanding(bundle, "finding.json", 0, method))


def test_a_bundle_that_was_damaged_on_its_way_ends_in_a_sentence(bundle: Path) -> None:
    """As a stick or a mail does it: at each byte of its compressed content and its directory."""
    data, seeded = bundle.read_bytes(), random.Random(7)
    target = bundle.with_name("damaged.zip")
    said: set[bool | str] = set()
    for place in seeded.sample(range(len(data)), 300):
        target.write_bytes(data[:place] + bytes([data[place] ^ seeded.randrange(1, 256)]) + data[place + 1 :])
        try:
            said.add(bool(check_bundle(Bundle(target)).fails))
        except BundleError as error:
            said.add(str(error).replace(str(target), "FILE"))
    assert "finding.json is missing or damaged in the bundle" in said
    entry = data.index(b"PK\x01\x02")
    for at, lie in [(6, b"\xff"), (8, b"\x00\x08"), (46, b"\xff")]:  # a later zip, and names that are no UTF-8
        data = data[: entry + at] + lie + data[entry + at + len(lie) :]
        target.write_bytes(data)
        with pytest.raises(BundleError, match="it is no zip"):
            Bundle(target)


def told_no_more(**changes: int) -> Callable[[Any], None]:
    """Say that what is missing is told apart no more, and that it is nothing."""

    def change(box: Any) -> None:
        box["chain"] = json.dumps(json.loads(box["chain"]) | changes)
        box["reports"]["count"] = 1

    return change


def test_reports_that_are_left_out_are_told_whatever_is_said_of_the_chain(bundle: Path) -> None:
    for changes, said in [
        ({"settled": 1}, "0 reports said to be missing, and its chain says 1"),
        ({"joined": 1}, "follows, is not there"),
    ]:
        target = changed(bundle, "reports/box.envelopes", lambda data: frame(unframe(data)[1:]))
        found = check_bundle(Bundle(changed(target, "agents.json", agents(told_no_more(**changes)))))
        assert any(said in item for item in found.fails), found.fails
        assert any("follow what is not there at 1 place: report 1 of boot" in item for item in found.notes)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("computation.json", edit(as_of=10**30)),
        ("computation.json", edit(last_reports={"box": 10**40})),
        ("computation.json", edit(undetermined_since=[1])),
        ("agents.json", lambda _: b"[1]"),
        ("agents.json", lambda _: b"[" * 100_000),
        ("received/box.json", lambda _: b"7"),
        ("index.json", edit(finding=None, institution=None, files=[])),
    ],
)
def test_a_bundle_that_says_anything_ends_in_a_sentence(
    bundle: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(BundleError) as raised:
        check_bundle(Bundle(changed(bundle, name, change, hide=name != "index.json")))
    assert "\n" not in str(raised.value)


def test_a_backlog_that_came_in_after_the_reading_is_there_and_does_not_count(engine: Engine, tmp_path: Path) -> None:
    """Agents send what is new first: the chain is whole in the bundle, and the verdict that of what was known."""
    centre: Centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.see(declared(NOW - 3_600_000))
    centre.clock.advance(60)
    waiting = centre.report(index("gate", NOW - 1, 2), span("camera/room1", "up", NOW - 60_000, NOW))
    late = [centre.agents["wj-0001"].envelope(waiting.to_bytes())]
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    centre.clock.advance(60)
    assert [item.status for item in ingest(centre.context, late).receipts] == ["stored"]
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]
    assert export_evidence(centre.context, row.id, tmp_path / "b.zip") == 3
    found = check_bundle(Bundle(tmp_path / "b.zip"))
    assert (found.fails, len(found.holds)) == ([], 4)
    assert [item.partition(",")[0] for item in found.notes] == [
        "agent box: not counted in the reading: 1 report that came in later"
    ]


def test_a_bundle_says_nothing_of_the_clock_of_the_machine_that_made_it(bundle: Path) -> None:
    """A zip has no moment before 1980, and a collector's clock may be lost."""
    with zipfile.ZipFile(bundle) as archive:
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("name", "change"), [("index.json", without("made_at")), ("finding.json", edit(citation=None))]
)
def test_what_can_t_be_said_of_a_bundle_ends_in_a_sentence(
    bundle: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    done = CliRunner().invoke(app, [str(changed(bundle, name, change, hide=name != "index.json"))])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert done.output.startswith("the bundle can't be read: ")


def test_names_in_a_bundle_are_shown_as_text(bundle: Path) -> None:
    target = bundle.with_name("odd.zip")
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(target, "w") as odd:
        for name in archive.namelist():
            data = archive.read(name)
            odd.writestr(
                name, data.replace(b'"agents.json"', b'"\\ud800\\u001b[31m"') if name == "index.json" else data
            )
    done = CliRunner().invoke(app, [str(target)])
    assert (done.exit_code, "\ufffd\ufffd[31m is not the file" in done.output) == (1, True)


def test_the_command_says_so_without_a_database_and_exits_by_it(bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sqlalchemy', 'fastapi', 'psycopg', 'cv2', 'av', 'httpx2']));"
        "from monitor.evidence.cli import app; app(sys.argv[1:])"
    )

    def run(file: Path) -> tuple[int, str, str]:
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    status, out, _ = run(bundle)
    assert (status, "FAILS" in out, out.count("holds ")) == (0, False, 4)
    lines = out.splitlines()
    assert lines[0].startswith("about  finding ")
    assert lines[0].endswith("of institution wj-0001, exported at 2026-11-23T04:02:00Z")
    assert (
        lines[1]
        == "about  retention of camera gate: short from 2026-11-23T04:00:00Z, not over when the bundle was made"
    )
    assert "by Test rule, Article 1 (internal): 35 days held" in lines[2]
    assert re.search(r"^key    agent box: [\w-]{43}, registered 2026-11-23T04:00:00Z$", out, re.MULTILINE)
    assert "`cradlewatch collector agent keys --institution wj-0001`" in lines[-2]
    assert lines[-1] == "result: all 4 checks hold"
    assert "note   regulation.json, test-pack version 1, is no pack of this installation" in out
    status, out, _ = run(changed(bundle, "reports/box.envelopes", lambda data: data[:-3] + b"x},"))
    assert (status, "FAILS" in out) == (1, True)
    assert re.search(r"result: \d of \d checks fail: this bundle does not prove its finding$", out.rstrip())
    (tmp_path / "no.zip").write_bytes(b"nothing")
    status, out, err = run(tmp_path / "no.zip")
    assert (status, out, err.count("\n")) == (2, "", 1)
