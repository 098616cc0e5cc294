"""A site's own thresholds: what site.yaml changes for all cameras, for one camera, and in one light."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from agents.vision.light import LIGHTS, Light
from agents.vision.thresholds import Thresholds
from monitor.model.inventory import ChangedThreshold

MOST_LOOKS = 20
"""A change that takes more looks to be confirmed is known minutes too late."""

MOST = 255.0
"""Luma and chroma have 256 steps, and no measure that is a multiple of another one comes near it."""


def _range(name: str) -> Any:
    """Return the type of one threshold: looks are whole numbers; what is a share by default stays one."""
    default = getattr(Thresholds(), name)
    if isinstance(default, int):
        return Annotated[int, Field(ge=1, le=MOST_LOOKS)]
    return Annotated[float, Field(ge=0.0, le=1.0 if default <= 1 else MOST)]


_NUMBERS: dict[str, Any] = {item.name: (_range(item.name) | None, None) for item in fields(Thresholds)}
_FORM = ConfigDict(extra="forbid", frozen=True)

LightThresholdsForm: type[BaseModel] = create_model("LightThresholdsForm", __config__=_FORM, **_NUMBERS)
"""The thresholds that hold in one light."""

_LIGHTS: dict[str, Any] = dict.fromkeys(LIGHTS, (LightThresholdsForm | None, None))

ThresholdsForm: type[BaseModel] = create_model("ThresholdsForm", __config__=_FORM, **_NUMBERS, **_LIGHTS)
"""The key `thresholds` of a site or a camera: numbers for any light, and under a light's name those of it alone."""


@dataclass(frozen=True)
class Overrides:
    """What one `thresholds` key changes: in any light, and in one."""

    always: Mapping[str, float] = field(default_factory=dict)
    by_light: Mapping[Light, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, form: BaseModel | None) -> Overrides:
        """Read a checked form; None changes nothing."""
        written: dict[str, Any] = {} if form is None else form.model_dump(exclude_none=True)
        by_light: dict[Light, dict[str, float]] = {light: written.pop(light) for light in LIGHTS if light in written}
        return cls(written, by_light)

    def changes(self, camera: str | None) -> Iterator[ChangedThreshold]:
        """Yield each change, as it is declared to the centre; `camera` is None for a change to all."""
        default = Thresholds()
        parts: list[tuple[Light | None, Mapping[str, float]]] = [(None, self.always), *self.by_light.items()]
        for light, numbers in parts:
            for name, value in numbers.items():
                if value != getattr(default, name):
                    yield ChangedThreshold(
                        camera=camera, light=light, name=name, value=value, default=getattr(default, name)
                    )


@dataclass(frozen=True)
class Bounds:
    """The thresholds of one camera, by light."""

    day: Thresholds = field(default_factory=Thresholds)
    infrared: Thresholds = field(default_factory=Thresholds)
    nap: Thresholds = field(default_factory=Thresholds)

    @classmethod
    def resolve(cls, *overrides: Overrides) -> Bounds:
        """Return the defaults with changes laid over each other: a later one wins, and a light's over any light's."""
        numbers: dict[str, dict[str, Any]] = {light: {} for light in LIGHTS}
        for item in overrides:
            for light in LIGHTS:
                numbers[light] |= {**item.always, **item.by_light.get(light, {})}
        return cls(**{light: replace(Thresholds(), **changed) for light, changed in numbers.items()})

    def of(self, light: Light) -> Thresholds:
        """Return those that hold in a light."""
        found: Thresholds = getattr(self, light)
        return found

    def digest(self) -> str:
        """Return the digest of the thresholds in force: that of the one set, where it is the same in every light."""
        if self.day == self.infrared == self.nap:
            return self.day.digest()
        text = json.dumps([self.of(light).digest() for light in LIGHTS])
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
