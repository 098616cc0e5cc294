"""A sequence parameter set's picture size, for H.264 (ITU-T H.264 7.3.2.1.1) and H.265 (ITU-T H.265 7.3.2.2)."""

from __future__ import annotations

from agents.rtsp.bits import BitReader, without_emulation

MAX_SPS_BYTES = 4096
_READ_BYTES = 1024
"""The size stands before this, with all scaling lists, too."""
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def h264_size(nal: bytes) -> tuple[int, int]:
    """Return width and height in pixels of an H.264 SPS NAL unit. Raises ValueError when it makes no sense."""
    reader = _reader(nal, header_bytes=1)
    profile = reader.bits(8)
    reader.bits(16)  # constraint flags, level
    reader.unsigned()  # id
    chroma, separate_planes = 1, 0
    if profile in _HIGH_PROFILES:
        chroma = reader.unsigned()
        separate_planes = reader.bits(1) if chroma == 3 else 0
        reader.unsigned()  # bit depths
        reader.unsigned()
        reader.bits(1)
        if reader.bits(1):
            _skip_scaling_lists(reader, 12 if chroma == 3 else 8)
    reader.unsigned()  # log2_max_frame_num
    _skip_picture_order(reader)
    reader.unsigned()  # reference frames
    reader.bits(1)
    width = (reader.unsigned() + 1) * 16
    map_units = reader.unsigned() + 1
    frames_only = reader.bits(1)
    height = (2 - frames_only) * map_units * 16
    if not frames_only:
        reader.bits(1)
    reader.bits(1)  # direct_8x8_inference
    if reader.bits(1):
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        subsampled = chroma if not separate_planes else 0
        unit_x = 2 if subsampled in (1, 2) else 1
        unit_y = (2 if subsampled == 1 else 1) * (2 - frames_only)
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    return _plausible(width, height)


def h265_size(nal: bytes) -> tuple[int, int]:
    """Return width and height in pixels of an H.265 SPS NAL unit. Raises ValueError when it makes no sense."""
    reader = _reader(nal, header_bytes=2)
    reader.bits(4)  # VPS id
    sub_layers = reader.bits(3)
    reader.bits(1)
    _skip_profile_tier_level(reader, sub_layers)
    reader.unsigned()  # id
    chroma = reader.unsigned()
    separate_planes = reader.bits(1) if chroma == 3 else 0
    width = reader.unsigned()
    height = reader.unsigned()
    if reader.bits(1):
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        subsampled = chroma if not separate_planes else 0
        width -= (2 if subsampled in (1, 2) else 1) * (left + right)
        height -= (2 if subsampled == 1 else 1) * (top + bottom)
    return _plausible(width, height)


def _reader(nal: bytes, header_bytes: int) -> BitReader:
    return BitReader(without_emulation(nal[header_bytes:_READ_BYTES]))


def _plausible(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= 65535 and 0 < height <= 65535):
        raise ValueError("a parameter set gives no plausible picture size")
    return width, height


def _skip_scaling_lists(reader: BitReader, count: int) -> None:
    for index in range(count):
        if not reader.bits(1):
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):
            if following:
                delta = reader.signed()
                if not -128 <= delta <= 127:
                    raise ValueError("a parameter set holds a number that is too large")
                following = (last + delta) % 256
            last = following or last


def _skip_picture_order(reader: BitReader) -> None:
    kind = reader.unsigned()
    if kind == 0:
        reader.unsigned()
    elif kind == 1:
        reader.bits(1)
        reader.signed()
        reader.signed()
        cycle = reader.unsigned()
        if cycle > 255:
            raise ValueError("a parameter set holds a number that is too large")
        for _ in range(cycle):
            reader.signed()


def _skip_profile_tier_level(reader: BitReader, sub_layers: int) -> None:
    reader.bits(88)
    reader.bits(8)
    present = [(reader.bits(1), reader.bits(1)) for _ in range(sub_layers)]
    if sub_layers:
        reader.bits(2 * (8 - sub_layers))
    for profile, level in present:
        reader.bits(88 * profile + 8 * level)
