"""What a camera or recorder writes over its picture: a running clock and a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import cv2
import numpy as np

from benchmarks.view.optics import Planar

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%m/%d/%Y %a %H:%M:%S", "%d-%m-%Y %H:%M:%S")


@dataclass(frozen=True)
class Osd:
    """One camera's way of writing."""

    name: str
    font: int
    form: str
    scale: float
    top: bool
    boxed: bool

    @classmethod
    def of(cls, seed: int, height: int) -> Osd:
        """Choose a way of writing from a seed, for pictures of `height` rows."""
        rng = np.random.default_rng([seed, 17])
        font = int(rng.choice(_FONTS))
        size = 2.0 if font == cv2.FONT_HERSHEY_PLAIN else 1.0
        return cls(
            name=str(rng.choice(["Camera 01", "CAM 3", "IPC", "Channel 12", "Room 2"])),
            font=font,
            form=str(rng.choice(_FORMATS)),
            scale=float(height / 620 * size * rng.uniform(0.85, 1.15)),
            top=bool(rng.random() < 0.6),
            boxed=bool(rng.random() < 0.2),
        )

    def clock(self, at: float) -> str:
        """Return the clock's text at epoch seconds `at`."""
        return datetime.fromtimestamp(at, UTC).strftime(self.form)

    def write(self, picture: Planar, at: float, *, opaque: bool = False) -> None:
        """Write clock and name into the picture, in place; `opaque` hides what was written there before."""
        rows, width = picture.shape
        height = rows * 2 // 3
        line = int(34 * height / 620) + 4
        clock_y = line if self.top else height - line // 2
        name_y = height - line // 2 if self.top else line
        self._text(picture, self.clock(at), (8, clock_y), boxed=self.boxed or opaque)
        (wide, _), _ = cv2.getTextSize(self.name, self.font, self.scale, 1)
        self._text(picture, self.name, (width - wide - 8, name_y), boxed=self.boxed or opaque)

    def _text(self, picture: Planar, text: str, at: tuple[int, int], *, boxed: bool) -> None:
        rows, width = picture.shape
        height = rows * 2 // 3
        (wide, high), base = cv2.getTextSize(text, self.font, self.scale, 1)
        x0, y0, x1, y1 = max(at[0] - 3, 0), max(at[1] - high - 3, 0), at[0] + wide + 3, min(at[1] + base + 2, height)
        for plane in range(2):
            chroma = picture[height:].reshape(2, height // 2, width // 2)[plane]
            part = chroma[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            part[:] = 128 if boxed else (part // 2 + 64)
        luma = picture[:height]
        if boxed:
            luma[y0:y1, x0:x1] = 24
        for right, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            cv2.putText(luma, text, (at[0] + right, at[1] + down), self.font, self.scale, 20, 1, cv2.LINE_AA)
        cv2.putText(luma, text, at, self.font, self.scale, 225, 1, cv2.LINE_AA)
