"""The generator makes what it says: each tamper is as severe as planned, and a seed always makes the same clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.view import lists
from benchmarks.view.camera import Camera
from benchmarks.view.loss import Loss, damaged_share
from benchmarks.view.optics import Planar
from benchmarks.view.plan import STATES, VARIANTS, Clip, Nuisance, Tamper, clean_day, tampered_clip
from benchmarks.view.stage import Scene
from benchmarks.view.stream import truth_of, write_clip
from benchmarks.view.truth import Truth

SCENE = Scene("test", "whitebox", 3, 352, 288)
START, END = 30.0, 60.0


def with_tamper(name: str, severity: float | None = None, *, full: float = START, period: float = 0.0) -> Clip:
    variant = next(item for item in VARIANTS if item.name == name)
    tamper = Tamper(variant, 5, START, full, END, variant.severe[0] if severity is None else severity, period)
    return Clip("test", SCENE, 11, 70.0, 10.0, 1.0, "infrared", tampers=(tamper,))


def seen(clip: Clip, *instants: float) -> list[Planar]:
    camera = Camera(clip)
    return [camera.picture(at) for at in instants]


def luma(picture: Planar) -> Planar:
    """The middle rows, where nothing is written."""
    return picture[40:240]


def test_every_state_of_the_contract_has_a_variant() -> None:
    assert set(STATES) == {
        "black", "dark", "bright", "frozen", "blurred", "covered", "moved", "noisy", "striped", "colour_cast",
        "signal_lost", "corrupt", "looped",
    }  # fmt: skip


def test_what_is_below_the_floor_is_well_below_it() -> None:
    for variant in VARIANTS:
        assert variant.severe[0] >= variant.floor
        assert variant.mild is None or variant.mild[1] <= 0.7 * variant.floor


@pytest.mark.parametrize("name", ["hand", "sticker", "spray", "cloth", "paper"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_cover_hides_the_share_that_was_planned(name: str, share: float) -> None:
    before, after = seen(with_tamper(name, share), 25, 50)
    changed = np.abs(after[:288].astype(int) - before[:288]) > 12
    colours = np.abs(after[288:].astype(int) - before[288:]).reshape(2, 144, 176).max(axis=0) > 8
    assert (changed | np.repeat(np.repeat(colours, 2, 0), 2, 1)).mean() == pytest.approx(share, abs=0.12)


def test_a_cover_that_creeps_grows_and_begins_at_the_floor() -> None:
    clip = with_tamper("sticker", 0.8, full=50)
    (tamper,) = clip.tampers
    assert START < tamper.begins < 50
    assert tamper.amount(tamper.begins) == pytest.approx(1 / 3)


def test_black_and_dark_are_apart() -> None:
    _, black = seen(with_tamper("cap"), 25, 50)
    _, dark = seen(with_tamper("lights_out", 1.0), 25, 50)
    assert np.percentile(luma(black), 95) < 22
    assert np.percentile(luma(dark), 95) > 32
    assert luma(dark).mean() < 40


def test_bright_reaches_the_planned_share() -> None:
    _, bright = seen(with_tamper("overexposed", 0.8), 25, 50)
    assert (luma(bright) > 225).mean() == pytest.approx(0.8, abs=0.12)


def test_frozen_pictures_are_the_same_but_for_the_clock() -> None:
    first, later = seen(with_tamper("clock"), 40, 50)
    assert (luma(first) == luma(later)).all()
    assert (first != later).any()
    first, later = seen(with_tamper("still"), 40, 50)
    assert (first == later).all()


def test_a_live_picture_is_never_the_same() -> None:
    first, later = seen(with_tamper("clock"), 10, 20)
    assert (luma(first) != luma(later)).mean() > 0.5


@pytest.mark.parametrize("name", ["turned", "pushed", "tilted", "zoomed", "elsewhere", "defocus", "grease", "snow"])
def test_other_tampers_are_plain_to_see(name: str) -> None:
    quiet, before, after = seen(with_tamper(name), 20, 25, 50)
    usual = np.abs(luma(before).astype(int) - luma(quiet)).mean()
    assert np.abs(luma(after).astype(int) - luma(before)).mean() > 1.15 * usual


def test_lost_keyframes_leave_grey_and_lost_slices_a_band() -> None:
    textured = replace(with_tamper("cap"), scene=replace(SCENE, base="playroom"))
    pictures = seen(textured, *range(10))
    keyframes = Loss(352, 288, keyframes=True, share=1.0, seed=1)
    assert damaged_share([keyframes.picture(picture) for picture in pictures][-1], pictures[-1]) > 0.5
    slices = Loss(352, 288, keyframes=False, share=0.4, seed=1)
    assert 0.03 < damaged_share([slices.picture(picture) for picture in pictures][-1], pictures[-1]) < 0.6


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_copied_loop_repeats_bytes_and_a_reencoded_one_does_not(tmp_path: Path) -> None:
    copied, again = tmp_path / "copied.mp4", tmp_path / "again.mp4"
    for name, path in (("copied", copied), ("reencoded", again)):
        write_clip(replace(with_tamper(name, period=10.0), frames_per_second=1.0), path)
    sent = packets(copied)
    assert len(sent) == 70
    assert len(sent) - len(set(sent)) == 30
    assert len(set(packets(again))) == 70


def test_a_file_keeps_true_time_and_its_keyframes(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    told = write_clip(with_tamper("bytes"), path)
    with av.open(str(path)) as container:
        frames = [(float(frame.time), frame.key_frame) for frame in container.decode(video=0)]
    assert [at for at, _ in frames] == [pytest.approx(number / 0.4) for number in range(28)]
    assert [key for at, key in frames if at < START] == [number % 2 == 0 for number in range(12)]
    assert told.events[0].state == "frozen"


def test_a_seed_makes_the_same_clip() -> None:
    first, second = (tampered_clip("test", SCENE, 5, ["covered", "dark"]) for _ in range(2))
    assert first == second
    at = first.tampers[0].end - 5
    assert (Camera(first).picture(at) == Camera(second).picture(at)).all()
    assert tampered_clip("test", SCENE, 6, ["covered", "dark"]) != first


def test_a_clean_day_has_every_kind_of_nuisance_and_no_event() -> None:
    days = [clean_day("day", SCENE, seed) for seed in range(12)]
    kinds = {item.kind for day in days for item in day.nuisances}
    kinds |= {item.kind for item in clean_day("day", SCENE, 2, outdoors=True).nuisances}
    assert kinds >= {
        "near", "lamp", "exposure", "door", "insect", "vibration", "headlights", "sun", "furniture", "nap",
        "decoration", "hangings", "partition",
    }  # fmt: skip
    truths = [truth_of(day, {}) for day in days]
    assert sum(truth.clean_days for truth in truths) == 12
    assert not any(truth.events for truth in truths)
    assert all(bool(truth.tolerated) == (day.night == "dark") for truth, day in zip(truths, days, strict=True))


def test_night_without_a_lamp_is_dark_and_with_infrared_is_grey() -> None:
    midnight = clean_day("day", SCENE, 1).seconds * 15 / 24
    blind = replace(clean_day("day", SCENE, 1), night="dark", nuisances=())
    (dark,) = seen(blind, midnight)
    (grey,) = seen(replace(blind, night="infrared"), midnight)
    assert luma(dark).mean() < 34
    assert luma(grey).mean() > 55
    assert (grey[288:] == 128).all()


def test_a_nap_covers_the_floor_and_dims_the_room() -> None:
    plain = replace(with_tamper("cap"), tampers=())
    before, during = seen(replace(plain, nuisances=(Nuisance("nap", 30, 60, 1),)), 20, 40)
    assert luma(during).mean() < 0.9 * luma(before).mean()


def test_truth_survives_its_file(tmp_path: Path) -> None:
    told = truth_of(tampered_clip("test", SCENE, 5, ["black", "signal_lost"]), {})
    told.save(tmp_path / "truth.json")
    assert Truth.load(tmp_path / "truth.json") == told


def test_a_list_is_balanced_from_its_beginning() -> None:
    score = replace(lists.load("score"), rounds=20)
    counts = dict.fromkeys(STATES, 0)
    for clip in lists.clips(replace(score, scenes=tuple(s for s in score.scenes if "/" not in s.base))):
        for state in clip.states:
            counts[state] += 1
    assert set(counts.values()) == {20}
