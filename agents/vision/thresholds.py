"""Where each state begins: one flat value of numbers, which a site may set for a camera and a light."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace


def _least(default: float) -> float:
    """Return a bound that a measure must reach; leaving the state needs less by the slack."""
    bound: float = field(default=default, metadata={"bound": "least"})
    return bound


def _most(default: float) -> float:
    """Return a bound that a measure must not exceed; leaving the state needs more by the slack."""
    bound: float = field(default=default, metadata={"bound": "most"})
    return bound


@dataclass(frozen=True)
class Thresholds:
    """Bounds of the states, in the units of the measures they are named after."""

    black_p95: float = _most(30.0)
    """Luma on the video scale: a covered sensor lies at 16 to 20, a dark room's noise reaches further."""
    placeholder_flat_ratio: float = _least(0.8)
    placeholder_noise: float = _most(0.05)
    frozen_same_ratio: float = _least(0.8)
    """The rest may be a running OSD clock, and what the encoder makes of its surroundings: measured 0.89 at the least.
    Live pictures of an empty room reach 0.18."""
    confirm_looks: int = 2
    leaving_slack: float = 0.15
    """Share by which the bounds of the state that holds are widened, so that it doesn't come and go."""

    def leaving(self) -> Thresholds:
        """Return the bounds by which a state that holds goes on holding."""
        wider = {"least": 1 - self.leaving_slack, "most": 1 + self.leaving_slack}
        return replace(
            self,
            **{
                item.name: getattr(self, item.name) * wider[item.metadata["bound"]]
                for item in fields(self)
                if "bound" in item.metadata
            },
        )

    def changed(self) -> dict[str, float]:
        """Return the numbers that are not the defaults, by name."""
        default = Thresholds()
        return {name: value for name, value in vars(self).items() if value != getattr(default, name)}

    def digest(self) -> str:
        """Return a short digest that is the same for the same numbers: `sha256:` and 16 hexadecimal digits."""
        text = json.dumps(vars(self), sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
