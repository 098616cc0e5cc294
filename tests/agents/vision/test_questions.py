"""Each question on pictures whose answer is known: drawn here, and some through a real encoder."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.vision.grain import detail
from agents.vision.measure import Measures, Trace, measure
from agents.vision.picture import Picture, Plane
from agents.vision.repeat import repeat
from agents.vision.stripes import SIDE, spectrum
from agents.vision.strips import SAMPLE_BYTES, strips
from agents.vision.thresholds import Thresholds
from agents.vision.tint import shift
from agents.vision.usual import LEARNT_LOOKS, Usual

WIDTH, HEIGHT = 352, 288


def room(seed: int = 1, *, noise: float = 1.5, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Return a wall, a floor, some furniture and a sensor's noise; another noise for another seed."""
    rng = np.random.default_rng(seed)
    shapes = np.random.default_rng(99)
    luma = np.full((height, width), 150.0)
    luma[height // 2 :] = 110
    luma += np.linspace(0, 20, width)
    for _ in range(12):
        left, top = shapes.uniform(0, 0.85, 2)
        box = np.s_[int(top * height) : int((top + 0.12) * height), int(left * width) : int((left + 0.1) * width)]
        luma[box] = shapes.uniform(50, 200)
    luma += rng.normal(0, noise, luma.shape)
    u, v = (np.full((height // 2, width // 2), value, np.uint8) for value in (124, 132))
    u[: height // 4, : width // 6], v[: height // 4, : width // 6] = 160, 100  # a curtain
    return Picture(np.clip(luma, 16, 235).astype(np.uint8), u, v)


def with_luma(picture: Picture, luma: np.ndarray) -> Picture:
    return Picture(np.clip(luma, 16, 235).astype(np.uint8), picture.u, picture.v)


def seen(picture: Picture, before: Trace | None = None) -> Measures:
    return measure(picture, before)[0]


def overlaid(picture: Picture) -> Picture:
    """Write an overlay: white text on black at the top and the bottom, a thirtieth of the picture."""
    luma = picture.luma.copy()
    text = np.random.default_rng(3).integers(0, 2, (10, WIDTH // 2)).astype(np.uint8) * 219 + 16
    luma[4:14, 4 : 4 + WIDTH // 2] = text
    luma[-12:-2, WIDTH // 3 : WIDTH // 3 + WIDTH // 2] = text
    return Picture(luma, picture.u, picture.v)


def test_an_overlay_changes_no_answer() -> None:
    plain, overlay = seen(room()).as_scores(), seen(overlaid(room())).as_scores()
    for name in ("block_p10", "block_p90", "spread", "grain", "u_median", "v_median", "stripe_level", "drawn_ratio"):
        one, other = plain[name], overlay[name]
        assert one is not None
        assert other == pytest.approx(one, abs=3 + 0.05 * abs(one)), name


def test_a_mirrored_room_is_the_same_room() -> None:
    picture = room()
    mirrored = Picture(*(np.ascontiguousarray(plane[:, ::-1]) for plane in (picture.luma, picture.u, picture.v)))
    plain, other = seen(picture).as_scores(), seen(mirrored).as_scores()
    for name in ("luma_mean", "block_p90", "spread", "grain", "u_low", "v_high", "stripe_level", "smeared_ratio"):
        assert other[name] == pytest.approx(plain[name], abs=0.5), name


@settings(deadline=None, max_examples=20)
@given(st.floats(0.85, 1.12), st.floats(-8, 8))
def test_a_little_more_or_less_light_is_no_fault(gain: float, offset: float) -> None:
    picture = room()
    found = seen(with_luma(picture, picture.luma * gain + offset))
    limits = Thresholds()
    assert found.levels.block_p90 > limits.dark_p90
    assert found.levels.clipped_ratio < limits.bright_clipped_ratio
    assert found.grain.grain < limits.noisy_grain
    assert found.stripes.stripe_level < limits.striped_level
    assert found.smear.smeared_ratio == found.smear.void_ratio == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_spectrum_is_the_one_that_another_transform_gives(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 30, (SIDE, SIDE)).astype(np.float32)
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    whole = np.abs(np.fft.fftshift(np.fft.fft2(values * window), axes=0))[:, : SIDE // 2]
    assert np.allclose(spectrum(values), whole * 2 / window.sum(), atol=1e-4)


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0, 20.0])
def test_the_noise_s_deviation_is_found_beside_edges(sigma: float) -> None:
    """A surface's quiet third has less than the mean; edges and furniture have no part in it."""
    assert seen(room(noise=sigma)).grain.grain == pytest.approx(sigma, rel=0.2)


def test_noise_of_the_colours_is_told_apart() -> None:
    picture, rng = room(), np.random.default_rng(5)
    u = np.clip(picture.u + rng.normal(0, 12, picture.u.shape), 16, 240).astype(np.uint8)
    found = seen(Picture(picture.luma, u, picture.v)).grain
    assert found.colour_grain == pytest.approx(12, rel=0.2)
    assert seen(picture).grain.colour_grain == 0


@pytest.mark.parametrize(("across", "down"), [(0, 20), (30, 0), (12, 17), (40, 3)])
@pytest.mark.parametrize("square", [False, True])
def test_stripes_are_found_with_their_level(across: int, down: int, *, square: bool) -> None:
    picture = room()
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    wave = np.sin(2 * np.pi * (across * x / WIDTH + down * y / HEIGHT))
    wave = np.sign(wave) if square else wave
    found = seen(with_luma(picture, picture.luma + 15 * wave)).stripes
    plain = seen(picture).stripes
    assert found.stripe_level == pytest.approx(15 * (4 / np.pi if square else 1), rel=0.25)
    assert found.stripe_ratio > 2 * plain.stripe_ratio
    assert found.stripe_even > 0.8
    assert plain.stripe_even < Thresholds().striped_even


@pytest.mark.parametrize("bands", [7, 8, 12])
def test_dark_bands_are_found_by_their_own_frequency(bands: int) -> None:
    """Their overtones stand out by more, being alone up there, and are fainter."""
    picture = room()
    dark = (np.arange(HEIGHT) / HEIGHT * bands) % 1 < 0.35
    found = seen(with_luma(picture, picture.luma - 50.0 * dark[:, None])).stripes
    assert found.stripe_level == pytest.approx(2 * 50 / np.pi * np.sin(0.35 * np.pi), rel=0.3)
    assert found.stripe_even > Thresholds().striped_broad_even


def test_blinds_over_a_part_are_no_interference() -> None:
    picture = room()
    luma = picture.luma.astype(np.float64)
    luma[:150, :120] += 30 * np.sign(np.sin(np.arange(150) / 150 * 2 * np.pi * 20))[:, None]
    assert seen(with_luma(picture, luma)).stripes.stripe_even < Thresholds().striped_even


def test_bars_that_roll_are_seen_from_look_to_look() -> None:
    rows = np.arange(HEIGHT)[:, None] / HEIGHT

    def bars(seed: int, phase: float) -> Picture:
        return with_luma(room(seed), room(seed).luma + 15 * np.sin(2 * np.pi * (2.2 * rows + phase)))

    _, before = measure(bars(1, 0.0), None)
    found = seen(bars(2, 0.4), before).stripes
    limits = Thresholds()
    assert found.roll_level is not None
    assert found.roll_share is not None
    assert found.roll_level > limits.striped_roll_level
    assert found.roll_share > limits.striped_roll_share
    _, still = measure(room(1), None)
    assert (seen(room(2), still).stripes.roll_level or 0) < 1
    person = room(2).luma.astype(np.float64)
    person[60:280, 100:180] -= 60
    assert (seen(with_luma(room(2), person), still).stripes.roll_share or 0) < limits.striped_roll_share


def test_a_colour_channel_s_gain_is_a_shift_though_dark_parts_move_less() -> None:
    assert shift((-21, -2, 23, -6, -4, 0), (-27, -19, -1, -5, -1, 3)) == pytest.approx(17, abs=1)
    assert shift((-26, -2, 23, -6, -4, 0), (-27, -19, -1, -5, -1, 3)) == 0


@given(st.floats(0, 0.9))
def test_a_picture_that_loses_its_colour_has_no_cast(left: float) -> None:
    usual = (-27, -19, -10, 4, 9, 16)
    assert shift([left * value for value in usual], usual) == 0


def test_a_cast_may_end_near_grey() -> None:
    assert shift((-8, 0, 9, 4, 9, 16), (-27, -19, -10, 4, 9, 16)) == pytest.approx(19)


def test_only_what_colours_all_of_the_picture_is_a_shift() -> None:
    usual = seen(room()).tint.ends
    picture = room()
    all_of_it = Picture(picture.luma, picture.u + 20, picture.v - 15)
    assert shift(seen(all_of_it).tint.ends, usual) == pytest.approx(25, abs=1)
    u = picture.u.copy()
    u[:, : WIDTH // 4] = 190  # cloth over half of it
    assert shift(seen(Picture(picture.luma, u, picture.v)).tint.ends, usual) == 0
    assert shift(usual, usual) == 0


def test_what_is_written_in_the_middle_is_told_from_a_clock_at_the_edge() -> None:
    text = np.random.default_rng(3).integers(0, 2, (12, WIDTH // 3)).astype(np.uint8) * 200
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    found = []
    for top in (HEIGHT // 2, 4):
        luma = np.full((HEIGHT, WIDTH), 16, np.uint8)
        luma[top : top + 12, 40 : 40 + WIDTH // 3] += text
        found.append(seen(Picture(luma, grey, grey)).drawn)
    assert found[0].text_ratio > Thresholds().placeholder_text_ratio
    assert found[0].shade_ratio == found[1].text_ratio == 0


@pytest.mark.parametrize(("luma", "u", "v"), [(41, 240, 110), (235, 128, 128), (128, 128, 128), (60, 90, 200)])
def test_a_placeholder_is_drawn_and_a_room_is_not(luma: int, u: int, v: int) -> None:
    planes = [
        np.full(shape, value, np.uint8) for shape, value in (((HEIGHT, WIDTH), luma), ((144, 176), u), ((144, 176), v))
    ]
    planes[0][130:160, 100:250] = 200  # its text
    found = seen(Picture(*planes)).drawn
    assert found.drawn_ratio > 0.9
    assert found.colours <= 2
    assert seen(room(noise=0.6)).drawn.drawn_ratio < 0.3


def test_a_test_card_is_drawn() -> None:
    luma = np.repeat(np.array([180, 160, 130, 110, 84, 65, 35], np.uint8), 51)[None, :352].repeat(HEIGHT, axis=0)
    chroma = np.repeat(np.array([128, 44, 156, 72, 184, 100, 212], np.uint8), 26)[None, :176].repeat(144, axis=0)
    luma = np.pad(luma, ((0, 0), (0, WIDTH - luma.shape[1])), mode="edge")
    found = seen(Picture(luma, chroma, 255 - chroma)).drawn
    assert found.drawn_ratio > Thresholds().placeholder_drawn_ratio


def test_rows_that_lie_between_their_neighbours_are_seen_and_folds_without_ends_are_their_like() -> None:
    """A decoder fills what it lost from above and below: every column goes on, softly."""
    picture = room()
    filled = picture.luma.astype(np.float32)
    share = np.linspace(0, 1, 128)[:, None]
    filled[96:224] = (1 - share) * filled[95] + share * filled[224]
    found = seen(with_luma(picture, filled.astype(np.uint8))).smear.between_ratio
    assert found - seen(picture).smear.between_ratio > Thresholds().corrupt_between_more
    flat = picture.luma.copy()
    flat[96:224] = 90
    assert seen(with_luma(picture, flat)).smear.between_ratio <= seen(picture).smear.between_ratio
    ramp = np.tile(np.linspace(30, 200, WIDTH).astype(np.uint8), (HEIGHT, 1))
    assert seen(with_luma(picture, ramp)).smear.between_ratio == 0, "what goes evenly across is a shade, not lost"


def test_the_edge_of_a_flat_patch_does_not_speak_for_rows_that_lie_between_their_neighbours() -> None:
    """The patch hides all but a strip that differs from row to row: that rows don't change behind it says nothing of them."""
    beside = np.random.default_rng(3).integers(150, 158, (HEIGHT // 16, 5)).astype(np.uint8)
    patch = np.full((HEIGHT, WIDTH), 40, np.uint8)
    patch[:, :80] = beside.repeat(16, axis=0).repeat(16, axis=1)
    assert seen(with_luma(room(), patch)).smear.between_ratio < Thresholds().corrupt_between_ratio


def test_damage_is_seen() -> None:
    picture, limits = room(), Thresholds()
    smeared = picture.luma.copy()
    smeared[160:288] = picture.luma[159] // 2 * 2 + np.random.default_rng(2).integers(0, 30, WIDTH).astype(np.uint8)
    assert seen(with_luma(picture, smeared)).smear.smeared_ratio > limits.corrupt_smeared_ratio
    u, v = picture.u.copy(), picture.v.copy()
    grey = picture.luma.copy()
    grey[96:192], u[48:96], v[48:96] = 128, 128, 128
    assert seen(Picture(grey, u, v)).smear.void_ratio == pytest.approx(1 / 3, abs=0.02)
    green = picture.luma.copy()
    green[96:192], u[48:96], v[48:96] = 16, 0, 0
    assert seen(Picture(green, u, v)).smear.void_ratio == pytest.approx(1 / 3, abs=0.02)
    shuffled = picture.luma.copy()
    blocks = shuffled.reshape(18, 16, 22, 16).swapaxes(1, 2).reshape(-1, 16, 16)
    moved = blocks.copy()
    moved[:200] = blocks[np.random.default_rng(4).permutation(200)]
    shuffled = moved.reshape(18, 22, 16, 16).swapaxes(1, 2).reshape(HEIGHT, WIDTH)
    found = seen(with_luma(picture, shuffled)).smear
    assert found.seam_share > limits.corrupt_seam_share
    assert found.seam_ratio > limits.corrupt_seam_ratio


def test_a_grey_sticker_is_no_damage() -> None:
    """As grey as a decoder's, but it doesn't end where macroblocks do."""
    picture = room()
    luma, u, v = (plane.copy() for plane in (picture.luma, picture.u, picture.v))
    luma[38:200, 57:250], u[19:100, 29:125], v[19:100, 29:125] = 128, 128, 128
    assert seen(Picture(luma, u, v)).smear.void_ratio == 0


def test_a_grey_wall_is_no_damage() -> None:
    """A live wall of middle grey: shaded, noisy, and not grey to a level in all its blocks."""
    rng = np.random.default_rng(6)
    wall = np.linspace(118, 138, WIDTH)[None, :] + rng.normal(0, 1.2, (HEIGHT, WIDTH))
    neutral = np.full((144, 176), 128, np.uint8)
    assert seen(Picture(np.clip(wall, 16, 235).astype(np.uint8), neutral, neutral)).smear.void_ratio == 0


def test_a_part_that_moves_says_that_the_rest_is_only_still() -> None:
    still, trace = room(1), measure(room(1), None)[1]
    person = still.luma.copy()
    person[100:250, 100:200] = 60
    found = seen(with_luma(still, person), trace).repeat
    assert (found.same_ratio or 0) > 0.5
    assert (found.changed_ratio or 0) > Thresholds().frozen_changed_ratio


def test_what_was_the_same_fades_and_is_forgotten_at_once_when_something_moves() -> None:
    first, trace = measure(room(1), None)
    again, trace = measure(room(1), trace)
    luma = room(2).luma.copy()
    luma[128:160] = room(1).luma[128:160]  # another quantizer: few blocks are what they were
    other, trace = measure(with_luma(room(2), luma), trace)
    assert (first.repeat.same_ratio, again.repeat.same_ratio) == (None, 1.0)
    assert other.repeat.same_ratio == pytest.approx(0.6 + 1 / 11, abs=0.01)  # one of the rows that are sampled
    person = room(3).luma.copy()
    person[100:250, 100:300] = 60
    assert (measure(with_luma(room(3), person), trace)[0].repeat.same_ratio or 0) < 0.1


@pytest.mark.parametrize(("same_in", "adds_up"), [(range(9), True), ((2, 3), False)])
def test_a_little_that_is_the_same_in_each_look_adds_up_and_by_chance_once_it_is_forgotten(
    same_in: Collection[int], adds_up: bool
) -> None:
    """Of a frozen picture at a low bit rate a few blocks come back each time; of a live one nothing does, but once."""
    textured = np.random.default_rng(99).integers(100, 130, (160, 320))
    few = np.s_[:16, : 6 * 16]
    found: list[float] = []
    kept: tuple[Plane, ...] = ()
    last: float | None = None
    for number in range(7):
        sample = (textured + np.random.default_rng(number).normal(0, 2, textured.shape)).astype(np.uint8)
        if number in same_in:
            sample[few] = textured[few]
        last = repeat(sample, detail(sample), kept, last).same_ratio
        kept = (*kept, sample)[-4:]
        found.append(last or 0.0)
    limit = Thresholds().frozen_same_ratio
    assert max(found[:3]) < limit
    assert (found[3] >= limit, found[-1] >= limit) == (adds_up, adds_up)


def test_what_was_the_same_once_by_chance_is_no_frozen_picture() -> None:
    """An encoder left all blocks of one live keyframe as they were; nothing of them is in the next look."""
    _, trace = measure(room(1), None)
    chance, trace = measure(room(1), trace)
    assert (chance.repeat.same_ratio or 0) > 0.9
    for number in range(2, 5):
        live, trace = measure(room(number), trace)
        assert (live.repeat.same_ratio or 0) < Thresholds().frozen_same_ratio


@pytest.mark.parametrize(("width", "height"), [(352, 288), (704, 576), (1920, 1080), (2560, 1440)])
def test_what_is_kept_of_a_picture_is_bounded(width: int, height: int) -> None:
    plane: Plane = np.zeros((height, width), np.uint8)
    assert strips(plane).nbytes <= max(SAMPLE_BYTES, 4 * 16 * width) + 16 * width


def test_the_usual_is_learnt_from_sound_looks_and_apart_for_grey_ones() -> None:
    usual = Usual()
    for number in range(LEARNT_LOOKS):
        assert usual.beside(seen(room()), "day").grain_ratio is None
        usual.learn(seen(room(number)), "day")
    assert usual.beside(seen(room(9)), "infrared").grain_ratio is None
    beside = usual.beside(seen(room(9, noise=9.0)), "nap")
    assert beside.grain_ratio == pytest.approx(6, rel=0.2)
    assert beside.tint_shift == pytest.approx(0, abs=1)


def test_noise_is_also_held_against_that_of_lately() -> None:
    """After a burst that took its bits, an encoder leaves no noise for minutes: then a picture without any says nothing."""
    usual = Usual()
    for number in range(LEARNT_LOOKS):
        usual.learn(seen(room(number)), "day")
    quiet = seen(room(9, noise=0.1))
    before = usual.beside(quiet, "day")
    assert before.grain_kept == pytest.approx(before.grain_left, rel=0.05)
    for number in range(6):
        usual.learn(seen(room(20 + number, noise=0.2)), "day")
    after = usual.beside(quiet, "day")
    assert after.grain_left == pytest.approx(before.grain_left, rel=0.2)
    assert after.grain_kept is None
    for number in range(6):
        usual.learn(seen(room(40 + number)), "day")
    assert usual.beside(quiet, "day").grain_kept == pytest.approx(before.grain_kept, rel=0.5)


def test_a_grey_look_s_noise_is_held_against_the_coloured_ones_where_no_other_grey_look_is_known() -> None:
    usual = Usual()
    for number in range(LEARNT_LOOKS):
        usual.learn(seen(room(number)), "day")
    assert usual.beside(seen(room(9, noise=0.1)), "infrared").grain_left == pytest.approx(0, abs=0.2)
    for number in range(LEARNT_LOOKS):
        usual.learn(seen(room(number, noise=4.0)), "infrared")
    assert usual.beside(seen(room(9, noise=4.0)), "infrared").grain_left == pytest.approx(1, abs=0.2)
    only_grey = Usual()
    for number in range(LEARNT_LOOKS):
        only_grey.learn(seen(room(number)), "infrared")
    assert only_grey.beside(seen(room(9)), "day").grain_left is None, "by day there is less noise than in the dark"


def test_the_usual_follows_slowly() -> None:
    usual = Usual()
    for number in range(LEARNT_LOOKS):
        usual.learn(seen(room(number)), "day")
    louder = seen(room(7, noise=6.0))
    for _ in range(10):
        usual.learn(louder, "day")
    assert (usual.beside(louder, "day").grain_ratio or 0) > 2.5


def test_measures_cross_from_the_decoder_s_process() -> None:
    found, _ = measure(room(2), measure(room(1), None)[1])
    assert Measures.from_numbers(json.loads(json.dumps(found.numbers()))) == found


@pytest.mark.parametrize("odd", [None, "5", True, float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_no_measure(odd: Any) -> None:
    _, *told = measure(room(1), None)[0].numbers()
    with pytest.raises(TypeError, match="luma_mean is no number"):
        Measures.from_numbers([odd, *told])


def test_fewer_or_more_numbers_are_no_measures() -> None:
    told = measure(room(1), None)[0].numbers()
    for other in (told[:-1], [*told, 1.0], []):
        with pytest.raises(ValueError, match="numbers are no measures"):
            Measures.from_numbers(other)


def test_leaving_a_state_takes_more_than_entering_it() -> None:
    limits = Thresholds()
    wider = limits.leaving()
    assert wider.black_p95 > limits.black_p95
    assert wider.covered_ratio < limits.covered_ratio
    assert wider.confirm_looks == limits.confirm_looks


def test_thresholds_tell_what_was_changed() -> None:
    assert Thresholds().changed() == {}
    assert Thresholds(dark_p90=50.0).changed() == {"dark_p90": 50.0}
    assert Thresholds().digest() == Thresholds().digest() != Thresholds(dark_p90=50.0).digest()
