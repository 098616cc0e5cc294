"""What changed of a folder's names: told alike to what sets would tell, and once for all cameras of a folder."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import listing
from agents.recorders.catalogue import BETWEEN, Catalogue, Joined, Place, Shelf
from agents.recorders.listing import SERVES, Lister, Listing, Shelved, beside
from agents.recorders.path_template import parse_template

EVEN = st.binary(min_size=11, max_size=11).map(lambda name: name.replace(b"\0", b"a"))
ANY = st.binary(min_size=1, max_size=70).map(lambda name: name.replace(b"\0", b"a"))


SETS = st.sampled_from([EVEN, ANY]).flatmap(st.sets)


def joined(*names: bytes) -> Joined:
    return len(names), BETWEEN.join(names)


@given(SETS, SETS, SETS, st.integers(1, 7), st.integers(1, 40))
def test_names_are_compared_as_sets_would_compare_them(
    one: set[bytes], other: set[bytes], both: set[bytes], shelved: int, batch: int
) -> None:
    sets = one | both, other | both
    present, known = (sorted(names, key=hash) for names in sets)
    parts = [known[at::shelved] for at in range(shelved)]  # some of them empty
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listing, "BATCH", batch)
        unknown, missing = beside(present, [joined(*part) for part in parts])
    assert {present[row] for row in unknown} == sets[0] - sets[1]
    lost = [parts[number][row] for number, rows in missing.items() for row in rows]
    assert (set(lost), len(lost)) == (sets[1] - sets[0], len(sets[1] - sets[0]))
    assert len(unknown) == len(sets[0] - sets[1])


def test_names_that_differ_in_one_digit_are_told_apart() -> None:
    names = [b"c%d_2026-11-%02d_%02d-%02d-00.mp4" % (c, d, h, m) for c in range(8, 13) for d in range(30) for h in range(24) for m in range(0, 60, 10)]  # fmt: skip
    assert beside(names, [joined(*names[1:])]) == ([0], {})
    assert beside(names[:-1], [joined(*names[:9]), joined(*names[9:])]) == ([], {1: [len(names) - 10]})
    assert beside(names, [joined(*names, *names)]) == ([], {})
    assert beside([], [joined(*names)]) == ([], {0: list(range(len(names)))})
    long = [b"n" * length for length in (1, 23, 24, 31, 127, 254, 255)]
    assert beside(long, [joined(*long, b"n" * 5000)]) == ([], {0: [7]}), "a damaged catalogue names what can't be"


def shelf(*names: bytes) -> Shelf:
    return Shelf(b"", 0, (), np.zeros((len(names), 4), dtype=np.int64), names)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    found = Catalogue(tmp_path / "known.sqlite", "")
    found.put(
        "a", {Place(b"", 1): shelf(b"a_20261101.mp4", b"a_20261101.avi"), Place(b"", 2): shelf(b"a_20261102.mp4")}
    )
    found.put("b", {Place(b"", 1): shelf(b"b_20261101.mp4")})
    return found


def of(found: Listing) -> tuple[dict[str, list[bytes]], dict[Shelved, set[bytes]]]:
    return {key: sorted(names) for key, names in found.new.items()}, {key: set(one) for key, one in found.lost.items()}


def test_one_listing_tells_all_cameras_of_a_folder_what_changed_but_each_once(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    for name in ("a_20261101.mp4", "a_20261103.mp4", "b_20261101.mp4", "c_d_20261101.mp4", "notes.txt"):
        (folder / name).touch()
    lister = Lister(parse_template("rec/{camera}_%Y%m%d.mp4", tmp_path), catalogue)
    path = os.fsencode(folder)
    first = lister.of("a", path, b"", b"stamp", 0)
    assert of(first) == (
        {"a": [b"a_20261103.mp4"], "c_d": [b"c_d_20261101.mp4"]},
        {Shelved("a", 1): {b"a_20261101.avi"}, Shelved("a", 2): {b"a_20261102.mp4"}},
    )
    (folder / "b_20261101.mp4").unlink()
    assert lister.peek(path, b"", b"stamp", 1) is first
    assert lister.of("b", path, b"", b"stamp", 2) is first
    again = lister.of("b", path, b"", b"stamp", 3)
    assert Shelved("b", 1) in again.lost
    assert lister.of("c", path, b"", b"stamp", 3 + SERVES) is not again


def test_where_a_name_may_be_two_cameras_each_lists_for_itself(tmp_path: Path, catalogue: Catalogue) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    (folder / "b_20261101.mp4").touch()
    lister = Lister(parse_template("rec/{camera}*_%Y%m%d.mp4", tmp_path), catalogue)
    assert of(lister.of("b", os.fsencode(folder), b"", b"", 0)) == ({"b": []}, {})
    assert of(lister.of("c", os.fsencode(folder), b"", b"", 0)) == ({"c": [b"b_20261101.mp4"]}, {})
