"""Contact sheets: what the generator made, to be looked at by a person before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from benchmarks.view.camera import Camera
from benchmarks.view.materials import Image
from benchmarks.view.plan import Clip

_WIDTH: Final = 320
_COLUMNS: Final = 6


def frames_at(path: Path, instants: Sequence[float]) -> list[Image]:
    """Return the shown pictures of a file at ascending instants."""
    found: list[Image] = []
    wanted = list(instants)
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            while wanted and frame.time >= wanted[0]:
                wanted.pop(0)
                found.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
    return found


def instants_of(clip: Clip) -> list[tuple[float, str]]:
    """Return what is worth looking at: the beginning and end of each tamper, the middle of each nuisance."""
    chosen = [(40.0, "approved")]
    for tamper in clip.tampers:
        name = f"{tamper.variant.state}/{tamper.variant.name} {tamper.severity:.2f}"
        chosen += [(tamper.begins + 1, f"begins {name}"), (tamper.end - 3, name if tamper.counts else f"mild {name}")]
    chosen += [((item.start + item.end) / 2, item.kind) for item in clip.nuisances]
    if not clip.tampers:
        chosen += [
            (share * clip.seconds, f"{clip.hour_at(share * clip.seconds):.1f} h") for share in (0.2, 0.4, 0.6, 0.8)
        ]
    return sorted(item for item in chosen if item[0] < clip.seconds)


def tiles(images: Sequence[Image], labels: Sequence[str]) -> Image:
    """Return the pictures in rows with a line of text over each."""
    cells = []
    for image, label in zip(images, labels, strict=False):
        high = round(_WIDTH * image.shape[0] / image.shape[1] / 2) * 2
        cell = cv2.copyMakeBorder(
            cv2.resize(image, (_WIDTH, high), interpolation=cv2.INTER_AREA),
            18,
            262 - high if high <= 262 else 0,
            0,
            2,
            cv2.BORDER_CONSTANT,
        )
        cv2.putText(cell, label, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[first : first + _COLUMNS]) for first in range(0, len(cells), _COLUMNS)]
    return np.vstack(rows)


def sheet_of_file(clip: Clip, path: Path, target: Path) -> None:
    """Write the sheet of an encoded clip."""
    chosen = instants_of(clip)
    cv2.imwrite(str(target), tiles(frames_at(path, [at for at, _ in chosen]), [label for _, label in chosen]))


def sheet_of_plan(clip: Clip, target: Path) -> None:
    """Write the sheet of a clip that was not encoded: quick, but without what happens to the stream."""
    chosen = instants_of(clip)
    camera = Camera(clip)
    images = [np.asarray(cv2.cvtColor(camera.picture(at), cv2.COLOR_YUV2BGR_I420), np.uint8) for at, _ in chosen]
    cv2.imwrite(str(target), tiles(images, [label for _, label in chosen]))
