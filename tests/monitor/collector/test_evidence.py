"""A bundle of a finding is checked without the database, and whatever is changed in it is told."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import ExportError, export_evidence
from monitor.evidence.bundle import Bundle, BundleError, as_json
from monitor.evidence.check import check_bundle
from monitor.model.envelope import frame, unframe
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from support.centre import NOW, Centre, declared, index, make_centre, span
from support.packs import pack


@pytest.fixture
def bundle(engine: Engine, tmp_path: Path) -> Path:
    centre: Centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.see(declared(NOW - 3_600_000))
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
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


def test_a_bundle_holds_and_each_change_of_it_is_told(bundle: Path) -> None:
    whole = check_bundle(Bundle(bundle))
    assert (whole.fails, whole.notes, len(whole.holds)) == ([], [], 3)
    assert "retention of camera/gate is short" in whole.holds[-1]
    reports = "reports/box.envelopes"
    for name, change, said in [
        (reports, lambda data: data.replace(b'"state":"read"', b'"state":"nope"'), "the signature is not that"),
        (reports, lambda data: frame(unframe(data)[1:]), "which report 2 of boot"),
        (reports, lambda data: frame(unframe(data)[:1]), "2 reports are said to be there, and there are 1"),
        (
            "computation.json",
            lambda data: data.replace(b'"held_days": 35', b'"held_days": 34'),
            "come to another verdict",
        ),
        ("regulation.json", lambda data: data.replace(b'"required_days": 90', b'"required_days": 60'), "other figures"),
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


def test_the_command_says_so_without_a_database_and_exits_by_it(bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sqlalchemy', 'fastapi', 'psycopg', 'cv2', 'av', 'httpx2']));"
        "from monitor.evidence.cli import app; app(sys.argv[1:])"
    )

    def run(file: Path) -> tuple[int, str, str]:
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    status, out, _ = run(bundle)
    assert (status, "FAILS" in out, out.count("holds ")) == (0, False, 3)
    status, out, _ = run(changed(bundle, "reports/box.envelopes", lambda data: data[:-3] + b"x},"))
    assert (status, "FAILS" in out) == (1, True)
    (tmp_path / "no.zip").write_bytes(b"nothing")
    status, out, err = run(tmp_path / "no.zip")
    assert (status, out, err.count("\n")) == (2, "", 1)
