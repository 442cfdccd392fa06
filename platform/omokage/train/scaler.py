"""Losses made bigger for fp16, whose smallest numbers gradients would otherwise fall below.

The scale is halved, and the step given up, whenever a gradient became too big; and doubled after many good steps.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

FIRST: Final = 2.0**16

PATIENCE: Final = 2000
"""Good steps after which a bigger scale is tried."""


class Scaler:
    """Scales losses, and takes the scale out of gradients; does nothing where it is not needed."""

    def __init__(self, needed: bool) -> None:
        self.needed = needed
        self.scale = FIRST if needed else 1.0
        self.good = 0
        """Steps since the scale was last changed."""

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss to go backward from."""
        return loss * self.scale if self.needed else loss

    def unscale(self, grads: Sequence[Tensor]) -> None:
        """Take the scale out of gradients, in place."""
        if self.needed and grads:
            torch._foreach_mul_(list(grads), 1.0 / self.scale)

    def goes_on(self, norm: Tensor) -> bool:
        """Return whether a step can be taken whose unscaled gradient has this length, and set the next scale."""
        if not self.needed:
            return True
        if not torch.isfinite(norm):
            self.scale, self.good = self.scale / 2, 0
            return False
        self.good += 1
        if self.good == PATIENCE:
            self.scale, self.good = self.scale * 2, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what going on depends on."""
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.scale, self.good = float(state["scale"]), int(state["good"])
