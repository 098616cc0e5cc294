"""Slices that are lost and softly concealed are damage, and what lies on a lens is a cover: a real encoder and a real decoder."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.codec.context import Flags2
from av.video.codeccontext import VideoCodecContext

from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint, merge
from agents.vision.measure import measure
from agents.vision.picture import Picture
from agents.vision.thresholds import Thresholds
from support.views import HEIGHT, WIDTH, Image, blurred, drawn_room, grainy, lit, looked_at

SLICES = 12


def slices_lost(image: Image, first: int, count: int) -> Picture:
    """Return what FFmpeg's decoder makes of a keyframe of which some slices didn't come."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24").reformat(format="yuv420p")
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, 10)
    options = f"slices={SLICES}:sliced-threads=0"
    encoder.options = {"preset": "superfast", "tune": "zerolatency", "crf": "26", "x264-params": options}
    coded = b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
    units = coded.split(b"\x00\x00\x01")[1:]
    slices = [unit for unit in units if unit[0] & 0x1F == 5]
    lost = slices[first : first + count]
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    decoder.flags2 |= Flags2.show_all
    data = b"".join(b"\x00\x00\x00\x01" + unit for unit in units if unit not in lost)
    seen = [*decoder.decode(av.Packet(data)), *decoder.decode(None)][0].to_ndarray(format="yuv420p")
    chroma = seen[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    return Picture(np.ascontiguousarray(seen[:HEIGHT]), chroma[0].copy(), chroma[1].copy())


def watching(room: Image) -> Eye:
    """Return an eye that knows the room and its sensor's noise."""
    sound = [looked_at(grainy(room, 2, seed), kilobits=1000) for seed in range(3)]
    eye = Eye(Thresholds(), (merge([fingerprint(picture) for picture in sound]),))
    for picture in sound:
        assert named(eye, picture) == "ok"
    return eye


def named(eye: Eye, picture: Picture) -> str:
    return eye.look(measure(picture, None)[0], fingerprint(picture)).conditions.state


@pytest.mark.parametrize(("seed", "first", "count"), [(1, 3, 6), (1, 0, 10), (2, 2, 8)])
def test_concealed_slices_are_damage_and_no_cover(seed: int, first: int, count: int) -> None:
    room = drawn_room(seed)
    eye = watching(room)
    assert named(eye, looked_at(grainy(room, 2, 7), kilobits=1000)) == "ok"
    assert named(eye, slices_lost(grainy(room, 2, 8), first, count)) == "corrupt"


def test_what_lies_on_the_lens_leaves_the_sensor_s_noise() -> None:
    room = drawn_room(1)
    eye = watching(room)
    hand = room.copy()
    hand[:, : WIDTH * 2 // 3] = (95, 120, 185)
    for cover in (np.asarray(cv2.GaussianBlur(hand, (0, 0), 25), np.uint8), lit(blurred(hand, 40), 0.6)):
        for kilobits in (1000, 300):
            assert named(eye, looked_at(grainy(cover, 2, kilobits), kilobits=kilobits)) in {"covered", "blurred"}


def test_where_a_low_bit_rate_leaves_no_noise_nothing_is_said_by_it() -> None:
    room = drawn_room(1)
    eye = Eye(Thresholds(), (fingerprint(looked_at(room)),))
    for seed in range(3):
        named(eye, looked_at(grainy(room, 1.5, seed), kilobits=48))
    covered = blurred(room, 60)
    picture = looked_at(grainy(covered, 1.5, 9), kilobits=48)
    judged = eye.look(measure(picture, None)[0], fingerprint(picture))
    assert judged.scores["grain_left"] is None
    assert judged.conditions.state != "corrupt"


def test_after_a_burst_that_took_the_encoder_s_bits_rows_between_their_neighbours_still_tell() -> None:
    """A camera at a given rate that had snow to code saves on noise for minutes: then a cover has none, either."""
    room = drawn_room(1)
    eye = watching(room)
    for seed in range(6):
        assert named(eye, looked_at(grainy(room, 0.1, 20 + seed), kilobits=300)) == "ok"
    hand = room.copy()
    hand[:, : WIDTH * 2 // 3] = (95, 120, 185)
    cover = np.asarray(cv2.GaussianBlur(hand, (0, 0), 25), np.uint8)
    picture = looked_at(grainy(cover, 0.3, 9), kilobits=300)
    judged = eye.look(measure(picture, None)[0], fingerprint(picture))
    assert judged.scores["grain_left"] is not None
    assert judged.scores["grain_left"] < Thresholds().corrupt_grain_left
    assert judged.conditions.state in {"covered", "blurred"}
    assert named(eye, slices_lost(room, 2, 8)) == "corrupt"


def upright(kind: str) -> Image:
    """Return a view of upright lines from top to floor: between two rows there is what is half-way between them."""
    room = drawn_room(1)
    if kind == "wardrobe":
        room[40:480] = 150
        for left in range(60, WIDTH - 60, 96):
            room[60:480, left : left + 5] = 60
    elif kind == "cots":
        for left in range(30, WIDTH - 30, 26):
            room[280:480, left : left + 7] = 215
    else:
        folds = 125 + 16 * np.sin(2 * np.pi * np.arange(WIDTH) / 44)
        room[20:480] = folds[None, :, None]
    return room


@pytest.mark.parametrize("kind", ["wardrobe", "cots", "curtain"])
@pytest.mark.parametrize("kilobits", [300, 1000])
def test_upright_lines_that_a_camera_is_meant_to_show_are_no_damage_from_its_first_look_on(
    kind: str, kilobits: int
) -> None:
    room = upright(kind)
    looks = [looked_at(grainy(room, 1, seed), kilobits=kilobits) for seed in range(8)]
    if kind != "cots":  # thin bright bars, of which a block counts for little
        assert max(measure(look, None)[0].smear.between_ratio for look in looks) > 0.2
    for approved in ((), (fingerprint(looks[0]),)):
        eye = Eye(Thresholds(), approved)
        assert {named(eye, look) for look in looks} == {"ok"}


@pytest.mark.parametrize(("step", "wide"), [(26, 7), (30, 8), (40, 10)])
def test_cots_with_bars_that_are_set_up_for_the_nap_are_no_damage(step: int, wide: int) -> None:
    """Their bars lie on the codec's grid here and there, and between two rows there is what is half-way; but they stand."""
    room = drawn_room(1)
    cots = room.copy()
    for left in range(30, WIDTH - 30, step):
        cots[300:480, left : left + wide] = 215
    for kilobits in (600, 1000):
        sound = [looked_at(grainy(room, 2, seed), kilobits=kilobits) for seed in range(3)]
        eye, trace, states = Eye(Thresholds(), (merge([fingerprint(look) for look in sound]),)), None, []
        for look in (*sound, *(looked_at(grainy(cots, 2, 50 + seed), kilobits=kilobits) for seed in range(4))):
            measures, trace = measure(look, trace)
            states.append(eye.look(measures, fingerprint(look)).conditions.state)
        assert states[4:] == ["ok", "ok", "ok"]
